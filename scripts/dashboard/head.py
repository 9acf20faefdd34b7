"""The dashboard around its panels: variables, links, and what leads to traces and runbooks."""

import json
import urllib.parse
from typing import Any

Json = dict[str, Any]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The chart writes metrics.prometheusRule.runbookUrl in its place.
RUNBOOKS = "https://agent-api.example/source/docs/runbooks.md"


def explore(query: Json) -> str:
    """A link to Grafana's Explore that asks Jaeger. Variables of the dashboard stay as they are."""
    pane = {
        "datasource": "${traces}",
        "queries": [{"refId": "A", "datasource": {"type": "jaeger", "uid": "${traces}"}, **query}],
    }
    told = urllib.parse.quote(json.dumps({"traces": pane}, separators=(",", ":")), safe="${}_.:,")
    return f"/explore?schemaVersion=1&panes={told}"


FAILED_TRACES = explore({"queryType": "search", "service": "agent-api", "tags": "error=true"})


def dashboard(panels: list[Json]) -> Json:
    return {
        "title": "agent-api",
        "uid": "agent-api",
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "tags": ["agent-api"],
        "templating": {"list": variables()},
        "annotations": {"list": [alerts_that_fired()]},
        "links": [
            {"type": "link", "title": "Runbooks", "url": RUNBOOKS, "targetBlank": True},
            {"type": "link", "title": "Traces with an error", "url": FAILED_TRACES, "targetBlank": True},
            {"type": "link", "title": "The trace above", "url": explore({"query": "${trace}"}), "targetBlank": True},
        ],
        "panels": panels,
    }


def variables() -> list[Json]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {"name": "traces", "label": "Jaeger", "type": "datasource", "query": "jaeger"},
        {
            "name": "namespace",
            "label": "Namespace",
            "type": "query",
            "datasource": SOURCE,
            "query": "label_values(agent_build_info, namespace)",
            "refresh": 2,
        },
        {
            "name": "slo",
            "label": "Good runs, %",
            "type": "textbox",
            "query": "99",
            "current": {"text": "99", "value": "99"},
        },
        {"name": "trace", "label": "Trace id", "type": "textbox", "query": "", "current": {"text": "", "value": ""}},
    ]


def alerts_that_fired() -> Json:
    return {
        "name": "Alerts",
        "enable": True,
        "iconColor": "red",
        "datasource": SOURCE,
        "expr": 'ALERTS{namespace="$namespace",alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{model}}{{tool}}{{dependency}}{{scope}}",
    }

"""The rows as Grafana's JSON."""

import json
import urllib.parse
from collections.abc import Iterable
from typing import Any

from scripts.dashboard.panels import Panel, Query, Row

Json = dict[str, Any]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# The chart writes metrics.prometheusRule.runbookUrl in its place.
RUNBOOKS = "https://agent-api.example/source/docs/runbooks.md"
WIDTH = {"stat": 6}
HEIGHT = {"stat": 4}
FULL = 24


def explore(query: Json) -> str:
    """A link to Grafana's Explore that asks Jaeger. Variables of the dashboard stay as they are."""
    pane = {
        "datasource": "${traces}",
        "queries": [{"refId": "A", "datasource": {"type": "jaeger", "uid": "${traces}"}, **query}],
    }
    told = urllib.parse.quote(json.dumps({"traces": pane}, separators=(",", ":")), safe="${}_.:,")
    return f"/explore?schemaVersion=1&panes={told}"


FAILED_TRACES = explore({"queryType": "search", "service": "agent-api", "tags": "error=true"})


def dashboard(rows: Iterable[Row]) -> Json:
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
        "panels": list(placed(rows)),
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


def placed(rows: Iterable[Row]) -> Iterable[Json]:
    """Panels from left to right; a new line where one does not fit, and for each row."""
    number, top = 1, 0
    for row in rows:
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": _at(0, top, FULL, 1),
        }
        number, top, left, line = number + 1, top + 1, 0, 0
        for one in row.panels:
            width, height = WIDTH.get(one.kind, 8), HEIGHT.get(one.kind, 8)
            if left + width > FULL or (line and height != line):
                top, left = top + line, 0
            line = height
            yield panel(number, one, _at(left, top, width, height))
            number, left = number + 1, left + width
        top += line


def _at(left: int, top: int, width: int, height: int) -> Json:
    return {"h": height, "w": width, "x": left, "y": top}


def panel(number: int, one: Panel, position: Json) -> Json:
    return {
        "id": number,
        "title": one.title,
        "description": one.text,
        "type": one.kind,
        "datasource": SOURCE,
        "gridPos": position,
        "links": [
            {"title": f"Runbook: {alert}", "url": f"{RUNBOOKS}#{alert.lower()}", "targetBlank": True}
            for alert in one.alerts
        ],
        "fieldConfig": {
            "defaults": defaults(one),
            "overrides": [trace_link()] if any(query.exemplars for query in one.queries) else [],
        },
        "options": {"tooltip": {"mode": "multi"}} if one.kind == "timeseries" else {},
        "targets": [target(index, query) for index, query in enumerate(one.queries)],
    }


def defaults(one: Panel) -> Json:
    made: Json = {"unit": one.unit}
    if one.kind == "timeseries":
        stacking = "normal" if one.stacked else "none"
        made |= {"min": 0, "custom": {"fillOpacity": 20 if one.stacked else 0, "stacking": {"mode": stacking}}}
    if one.steps:
        made["thresholds"] = {"mode": "absolute", "steps": [{"color": color, "value": at} for color, at in one.steps]}
    if one.names:
        made["mappings"] = [{"type": "value", "options": {value: {"text": text} for value, text in one.names}}]
    return made


def trace_link() -> Json:
    """From an exemplar to its trace."""
    link = {"title": "Trace", "url": explore({"query": "${__value.raw}"}), "targetBlank": True}
    return {"matcher": {"id": "byName", "options": "trace_id"}, "properties": [{"id": "links", "value": [link]}]}


def target(index: int, query: Query) -> Json:
    return {
        "refId": chr(ord("A") + index),
        "datasource": SOURCE,
        "expr": query.expression.replace("@", 'namespace="$namespace"'),
        "legendFormat": query.legend or "__auto",
        "exemplar": query.exemplars,
    }

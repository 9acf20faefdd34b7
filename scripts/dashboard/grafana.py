"""The rows as Grafana's JSON."""

from collections.abc import Iterable

from scripts.dashboard.head import RUNBOOKS, SOURCE, Json, explore
from scripts.dashboard.panels import Panel, Query, Row

WIDTH = {"stat": 6}
HEIGHT = {"stat": 4}
FULL = 24


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

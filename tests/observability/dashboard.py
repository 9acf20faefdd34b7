"""The dashboard as Grafana reads it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.observability.conftest import ROOT

DASHBOARD: dict[str, Any] = json.loads((ROOT / "charts/agent-api/dashboards/agent-api.json").read_text())


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression of a panel."""

    panel: str
    expression: str
    legend: str

    def now(self, namespace: str, window: str = "1m") -> str:
        """The expression with the variables that Grafana would fill in."""
        filled = {"$__rate_interval": window, "$__range": "1h", "$namespace": namespace, "$slo": "99"}
        text = self.expression
        for name, value in filled.items():
            text = text.replace(name, value)
        return text


def panels() -> list[dict[str, Any]]:
    return [one for one in DASHBOARD["panels"] if one["type"] != "row"]


def asked() -> Iterator[Asked]:
    for panel in panels():
        for target in panel["targets"]:
            yield Asked(panel["title"], target["expr"], target["legendFormat"])

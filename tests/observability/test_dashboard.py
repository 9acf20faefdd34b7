"""The dashboard asks for what the service has."""

import re
import subprocess
import sys
import urllib.parse
from collections import Counter
from itertools import combinations
from typing import Any

import pytest

from tests.observability.conftest import ROOT
from tests.observability.dashboard import DASHBOARD, Asked, asked, panels
from tests.observability.expressions import reads, unknown
from tests.observability.runbooks import chapters

ASKED = list(asked())
ROWS = [one["title"] for one in DASHBOARD["panels"] if one["type"] == "row"]


def test_it_is_what_its_tables_make() -> None:
    command = [sys.executable, "-m", "scripts.dashboard", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("one", ASKED, ids=lambda one: f"{one.panel}: {one.legend}")
def test_an_expression_reads_metrics_and_labels_that_there_are(one: Asked) -> None:
    expression = one.now("agents")
    assert reads(expression)
    assert unknown(expression) == []


@pytest.mark.parametrize("one", ASKED, ids=lambda one: f"{one.panel}: {one.legend}")
def test_a_legend_names_labels_that_the_expression_keeps(one: Asked) -> None:
    named = set(re.findall(r"\{\{(\w+)\}\}", one.legend))
    assert all(named <= read.labels for read in reads(one.now("agents")) if named), one.legend


@pytest.mark.parametrize("one", ASKED, ids=lambda one: f"{one.panel}: {one.legend}")
def test_an_expression_reads_one_namespace_alone(one: Asked) -> None:
    assert all("namespace" in read.labels for read in reads(one.now("agents")))


def test_a_metric_that_was_renamed_is_told() -> None:
    assert unknown("rate(agent_ruins_total[5m])") == ["agent_ruins_total"]
    assert unknown("sum by (user) (rate(agent_runs_total[5m]))") == ["agent_runs_total has no user"]


def test_every_subject_has_its_row() -> None:
    assert ROWS == [
        "Traffic and outcomes", "Latency", "First content and the time between tokens", "Streams", "Background runs",
        "Tokens and dollars", "Models", "Cache", "Tools", "Limits and budgets",
        "Dependencies", "Pods and autoscaler", "Event loop", "Telemetry",
    ]  # fmt: skip


def test_panels_lie_beside_each_other() -> None:
    def covers(at: dict[str, int]) -> set[tuple[int, int]]:
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}

    places = [covers(one["gridPos"]) for one in DASHBOARD["panels"]]
    assert all(not one & other for one, other in combinations(places, 2))
    assert max(x for one in places for x, _ in one) < 24
    assert max(Counter(one["id"] for one in DASHBOARD["panels"]).values()) == 1


def links(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["url"]] if isinstance(value.get("url"), str) else []
        return own + [found for inner in value.values() for found in links(inner)]
    return [found for inner in value for found in links(inner)] if isinstance(value, list) else []


def test_an_exemplar_leads_to_its_trace() -> None:
    with_exemplars = [one for one in panels() if any(target["exemplar"] for target in one["targets"])]
    assert len(with_exemplars) > 10
    for one in with_exemplars:
        [url] = links(one["fieldConfig"]["overrides"])
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)["panes"][0]
        assert '"query":"${__value.raw}"' in asked
        assert '"uid":"${traces}"' in asked


def test_runbooks_are_linked() -> None:
    runbooks = {url.partition("#")[2] for one in panels() for url in links(one["links"])}
    assert len(runbooks) > 15
    assert runbooks <= {alert.lower() for alert in chapters()}

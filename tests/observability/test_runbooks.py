"""Each alert has its runbook, and what that asks for is there."""

import re

import pytest
import yaml

from tests.observability.conftest import ROOT, RULES
from tests.observability.expressions import reads, unknown
from tests.observability.runbooks import PARTS, TEXT, chapters, queries

RULE_LIST = [rule for group in yaml.load(RULES.read_text(), yaml.CSafeLoader)["groups"] for rule in group["rules"]]
VALUES = yaml.load((ROOT / "charts/agent-api/values.yaml").read_text(), yaml.CSafeLoader)


def test_each_alert_has_its_chapter_and_each_chapter_its_alert() -> None:
    assert set(chapters()) == {rule["alert"] for rule in RULE_LIST}


def test_each_runbook_url_has_its_anchor() -> None:
    anchors = {alert.lower() for alert in chapters()}
    assert {rule["annotations"]["runbook_url"].partition("#")[2] for rule in RULE_LIST} <= anchors


@pytest.mark.parametrize("alert", chapters())
def test_a_chapter_has_its_four_parts(alert: str) -> None:
    assert tuple(re.findall(r"^\*\*(\w+)\.\*\*", chapters()[alert], re.MULTILINE)) == PARTS
    assert "```promql" in chapters()[alert]


@pytest.mark.parametrize(("alert", "query"), queries())
def test_a_query_reads_metrics_and_labels_that_there_are(alert: str, query: str) -> None:
    assert reads(query), alert
    assert unknown(query) == []


@pytest.mark.parametrize("rule", RULE_LIST, ids=lambda rule: f"{rule['alert']}{rule['labels'].get('window', '')}")
def test_an_alert_reads_metrics_and_labels_that_there_are(rule: dict[str, str]) -> None:
    assert reads(rule["expr"])
    assert unknown(rule["expr"]) == []


@pytest.mark.parametrize("name", ["runbooks.md", "observability.md"])
def test_links_lead_somewhere(name: str) -> None:
    for page, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]+))?\)", (ROOT / "docs" / name).read_text()):
        path = ROOT / "docs" / (page or name)
        assert path.exists(), page
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}, anchor


def test_each_threshold_is_named_where_it_is_told() -> None:
    named = set(re.findall(r"\(`(\w+)`\)", TEXT))
    thresholds = set(VALUES["metrics"]["prometheusRule"]["thresholds"])
    assert thresholds - named <= {"sloPercent", "minimumCases", "budgetScopes"}


def test_the_queries_of_the_walk_through_and_of_its_script_are_the_same() -> None:
    guide, script = ((ROOT / path).read_text() for path in ("docs/observability.md", "scripts/see-it"))
    asked = re.findall(r"'query=([^']+)'", guide)
    assert len(asked) == 3
    for query in asked:
        assert unknown(query) == []
        assert query.replace("agent-api-see", "'$namespace'") in script

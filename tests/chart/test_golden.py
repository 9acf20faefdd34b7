"""The rendered manifests, whole: a difference to tests/chart/golden that nobody explains fails.

`make chart-golden` accepts what is rendered now; the diff is then part of the change.
"""

import difflib
import os
from pathlib import Path

import pytest
import yaml

from tests.chart.conftest import Template
from tests.chart.values import CASES

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("case", CASES)
def test_the_rendered_manifests_are_the_accepted_ones(template: Template, case: str) -> None:
    path = GOLDEN / f"{case}.yaml"
    manifests = sorted(
        (one for one in yaml.load_all(template(CASES[case]), yaml.CSafeLoader) if one),
        key=lambda one: (one["kind"], one["metadata"]["name"]),
    )
    rendered = yaml.safe_dump_all(manifests, width=1000)
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        path.write_text(rendered)
    diff = difflib.unified_diff(
        path.read_text().splitlines(), rendered.splitlines(), str(path.name), "rendered", lineterm="", n=8
    )
    assert not (found := "\n".join(diff)), f"{found}\nIf it is meant: make chart-golden"

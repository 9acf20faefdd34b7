"""docs/runs.md: the service is asked as it says; the names that it uses exist."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from app.api.failures import kinds_of_errors
from app.durable.record import RunStatus
from app.settings import Settings
from tests.readme import check_together, examples
from tests.service import Service

TEXT = (Path(__file__).parent.parent.parent / "docs" / "runs.md").read_text()
BLOCKS = [examples(block) for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)]


@pytest.mark.parametrize("block", BLOCKS, ids=[block[-1][0][:60] for block in BLOCKS])
def test_a_service_answers_as_shown(block: Sequence[tuple[str, str]], fresh_service: Service) -> None:
    check_together(block, fresh_service)


def test_settings_that_are_named_exist_and_their_defaults_are_those_that_are_told() -> None:
    named = re.findall(r"`([A-Z]+_[A-Z_]+|WORKERS)(?:=[^`]*)?`(?: \(([\d,]+)\))?", TEXT)
    fields = Settings.model_fields
    assert {name.lower() for name, _ in named} - {"agent_api_url", "agent_api_key"} <= fields.keys()
    told = {(name.lower(), int(default.replace(",", ""))) for name, default in named if default}
    assert len(told) >= 5
    assert told == {(name, fields[name].default) for name, _ in told}


def test_every_state_is_in_the_table() -> None:
    assert re.findall(r"^\| `(\w+)` \|", TEXT.partition("## States")[2].partition("## ")[0], re.MULTILINE) == [
        *get_args(RunStatus)
    ]


def test_the_problems_that_are_named_are_those_of_the_service() -> None:
    named = {(int(status), slug) for status, slug in re.findall(r"\b([45]\d\d) `([a-z-]+)`", TEXT)}
    assert len(named) >= 4
    assert named <= {(kind.status, kind.slug) for kind in kinds_of_errors()}

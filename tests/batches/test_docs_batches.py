"""docs/batches.md: the service is asked as it says; the names and numbers that it uses are the service's."""

import re
from collections.abc import Sequence
from typing import get_args

import pytest

from app.api.failures import kinds_of_errors
from app.batches.queue import WINDOW
from app.batches.record import BatchStatus
from app.settings import Settings
from tests.readme import check_together, examples
from tests.service import REPOSITORY, Service

TEXT = (REPOSITORY / "docs" / "batches.md").read_text()
BLOCKS = [examples(block) for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)]


@pytest.mark.parametrize("block", BLOCKS, ids=[block[-1][0][:60] for block in BLOCKS])
def test_a_service_answers_as_shown(block: Sequence[tuple[str, str]], demo: Service) -> None:
    check_together(block, demo)


def test_settings_that_are_named_exist_and_their_defaults_are_those_that_are_told() -> None:
    named = re.findall(r"`([A-Z]+_[A-Z_]+|WORKERS)`(?: \(([\d,]+)\))?", TEXT)
    fields = Settings.model_fields
    assert {name.lower() for name, _ in named} <= fields.keys()
    told = {(name.lower(), int(default.replace(",", ""))) for name, default in named if default}
    assert len(told) >= 5
    assert told == {(name, int(fields[name].default)) for name, _ in told}


def test_every_state_is_in_the_table() -> None:
    table = TEXT.partition("## States")[2].partition("## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*get_args(BatchStatus)]


def test_the_problems_that_are_named_are_those_of_the_service() -> None:
    named = {(int(status), slug) for status, slug in re.findall(r"\b([45]\d\d) `([a-z-]+)`", TEXT)}
    assert len(named) >= 2
    assert named <= {(kind.status, kind.slug) for kind in kinds_of_errors()}


def test_the_window_is_the_one_that_is_told() -> None:
    assert f"No more than {WINDOW} runs of a batch" in TEXT

"""`make soak-runs` in a short form: the same code, fewer runs."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests import redis_server
from tests.durable.killing import killing
from tests.durable.leaving import stopped
from tests.resilience.goals import Sheet

pytestmark = pytest.mark.skipif(not redis_server.BINARY, reason=redis_server.MISSING)


def reached(sheet: Sheet) -> None:
    """Shows the figures of a run, which pytest prints where it fails."""
    print(sheet.table())
    assert not sheet.missed


def test_runs_whose_workers_are_killed_all_succeed_and_have_their_effects_once(tmp_path: Path) -> None:
    brief: Any = {"runs": 30, "workers": 3, "at_once": 4, "most_kills": 3, "limit_seconds": 90}
    reached(asyncio.run(killing(tmp_path / "runs", **brief)))


def test_a_worker_that_was_stopped_and_wakes_up_changes_nothing(tmp_path: Path) -> None:
    reached(asyncio.run(stopped(tmp_path / "run", seconds=0)))

"""`make soak-runs` in a short form: the same code, fewer runs."""

import asyncio
from pathlib import Path

import pytest

from tests import redis_server
from tests.durable.killing import Plan, killing

pytestmark = pytest.mark.skipif(not redis_server.BINARY, reason=redis_server.MISSING)

LEASE_SECONDS = 2


def test_runs_whose_workers_are_killed_all_succeed_and_have_their_effects_once(tmp_path: Path) -> None:
    brief = Plan(30, workers=3, at_once=4, most_kills=3, limit_seconds=90)
    sheet = asyncio.run(killing(tmp_path / "runs", brief, run_lease_seconds=LEASE_SECONDS))
    print(sheet.table())  # pytest shows it where it fails
    assert not sheet.missed

"""The long runs of `make soak` in a short form: the same code, fewer requests and shorter outages."""

import asyncio
from pathlib import Path

import pytest

from tests.redis_server import RedisServer
from tests.resilience.burst import burst
from tests.resilience.chaos import chaos
from tests.resilience.flaky import flaky
from tests.resilience.goals import Sheet
from tests.resilience.leaving import leaving
from tests.resilience.outage import Outage, outages
from tests.resilience.shared_quota import shared_quota


def reached(*sheets: Sheet) -> None:
    """Shows the figures of a run, which pytest prints where it fails."""
    for sheet in sheets:
        print(sheet.table())
    assert not [missed for sheet in sheets for missed in sheet.missed]


def test_a_healthy_fallback_hides_that_a_third_of_the_calls_fail(tmp_path: Path) -> None:
    reached(asyncio.run(flaky(tmp_path / "service", requests=300, most_calls=1.25)))


def test_an_outage_is_told_at_once_costs_few_calls_and_ends_by_itself(tmp_path: Path) -> None:
    reached(*asyncio.run(outages(tmp_path / "service", [Outage(7, "503")], per_second=20, noise_seconds=2)))


@pytest.mark.parametrize("breaker", [True, False])
def test_calls_that_fail_together_are_not_all_tried_again(tmp_path: Path, breaker: bool) -> None:
    reached(asyncio.run(burst(tmp_path / "service", requests=150, watched_seconds=2, breaker=breaker)))


def test_processes_that_share_a_store_keep_to_their_upstreams_quota(tmp_path: Path, redis_server: RedisServer) -> None:
    reached(asyncio.run(shared_quota(tmp_path, redis_server.url, allowed=30, window=2, windows=2)))


def test_clients_that_leave_leave_nothing_behind(tmp_path: Path) -> None:
    reached(asyncio.run(leaving(tmp_path / "service")))


def test_nothing_is_open_lost_or_counted_twice_after_failures_and_leaving_at_random(tmp_path: Path) -> None:
    reached(asyncio.run(chaos(tmp_path / "service", requests=300)))

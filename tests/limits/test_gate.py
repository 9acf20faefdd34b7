"""Requests by address in one process: how many a minute, how many at once, how many that were refused."""

import pytest

from app.errors import RateLimited
from app.limits import gate as module
from app.limits.gate import Gate

HERE, THERE, PROXY = "192.0.2.1", "192.0.2.2", "10.0.0.1"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def enter(gate: Gate, address: str = HERE, peer: str = "", times: int = 1) -> int:
    """How many of so many requests get in."""
    entered = 0
    for _ in range(times):
        try:
            gate.enter(address, peer)
        except RateLimited:
            continue
        entered += 1
    return entered


def test_an_address_may_have_so_many_requests_at_once(clock: Clock) -> None:
    gate = Gate(None, 3, None)
    assert enter(gate, times=9) == 3
    assert enter(gate, THERE, times=9) == 3
    gate.leave(HERE, "")
    assert enter(gate, times=9) == 1


def test_an_address_may_send_so_many_a_minute(clock: Clock) -> None:
    gate = Gate(60, None, None)
    assert enter(gate, times=100) == 60
    with pytest.raises(RateLimited) as caught:
        gate.enter(HERE, "")
    assert (caught.value.retry_after, caught.value.members()) == (1, {"violated-policies": ["address"]})
    clock.now += 1
    assert enter(gate, times=100) == 1
    clock.now += 600
    assert enter(gate, times=100) == 60


def test_a_proxy_may_have_ten_times_as_much_for_all_addresses_that_it_tells(clock: Clock) -> None:
    gate = Gate(6, None, None)
    assert sum(enter(gate, f"192.0.2.{number}", PROXY) for number in range(100)) == 60
    assert enter(gate, "203.0.113.1", "10.0.0.2", times=9) == 6
    assert enter(gate, PROXY, times=9) == 6  # itself is counted apart from what it tells


def test_a_proxy_may_have_ten_times_as_many_requests_at_once(clock: Clock) -> None:
    gate = Gate(None, 2, None)
    assert sum(enter(gate, f"192.0.2.{number}", PROXY) for number in range(100)) == 20
    gate.leave("192.0.2.1", PROXY)
    assert enter(gate, "192.0.2.200", PROXY, times=5) == 1


def test_who_is_refused_too_often_is_refused_before_anything_is_read(clock: Clock) -> None:
    gate = Gate(None, None, 60)
    for _ in range(60):
        gate.check_refused(HERE)
        gate.refused(HERE, "", 1)
    with pytest.raises(RateLimited) as caught:
        gate.check_refused(HERE)
    assert caught.value.members() == {"violated-policies": ["refused"]}
    gate.check_refused(THERE)
    clock.now += 1
    gate.check_refused(HERE)


def test_a_heavy_refusal_counts_for_many_and_keeps_nobody_out_for_more_than_a_minute(clock: Clock) -> None:
    gate = Gate(None, None, 60)
    for _ in range(3):
        gate.refused(HERE, "", 1_000)
    with pytest.raises(RateLimited):
        gate.check_refused(HERE)
    clock.now += 61
    gate.check_refused(HERE)


def test_a_proxy_is_kept_out_for_what_all_its_addresses_were_refused(clock: Clock) -> None:
    gate = Gate(None, None, 6)
    for number in range(60):
        gate.refused(f"192.0.2.{number}", PROXY, 1)
    with pytest.raises(RateLimited):
        gate.check_refused("203.0.113.1", PROXY)
    gate.check_refused("203.0.113.1")


def test_what_is_kept_is_bounded_and_open_requests_are_not_forgotten(clock: Clock) -> None:
    gate = Gate(6000, 1, 3000)
    gate.enter(HERE, "")
    for number in range(30_000):
        address = f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}"
        gate.enter(address, "")
        gate.leave(address, "")
    assert len(gate) <= 10_000
    assert enter(gate, HERE) == 0


def test_without_limits_nothing_is_refused(clock: Clock) -> None:
    gate = Gate(None, None, None)
    gate.refused(HERE, "", 10_000)
    gate.check_refused(HERE)
    assert enter(gate, times=10_000) == 10_000

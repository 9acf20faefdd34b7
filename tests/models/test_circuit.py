"""The breaker's state machine: when it opens, what it lets in, and when it closes."""

import pytest

from app.models.circuit import JITTER
from app.models.probe_answers import TRUST_SECONDS
from tests.models.circuit_subject import Subject


@pytest.mark.parametrize(
    ("good", "bad", "state"), [(10, 10, "open"), (11, 9, "closed"), (11, 10, "closed"), (0, 19, "closed")]
)
def test_it_opens_when_half_of_twenty_calls_are_bad(good: int, bad: int, state: str) -> None:
    subject = Subject()
    subject.calls(good, bad)
    assert subject.state == state


def test_calls_of_more_than_ten_seconds_ago_no_longer_count() -> None:
    subject = Subject()
    subject.calls(good=30)
    subject.now += 10
    subject.calls(bad=19)
    assert subject.state == "closed"
    subject.calls(bad=1)
    assert subject.state == "open"


@pytest.mark.parametrize(
    ("bad", "every", "state"), [(5, 0.5, "open"), (4, 1.0, "closed"), (5, 0.4, "closed"), (9, 0.1, "closed")]
)
def test_it_opens_after_five_bad_calls_in_two_seconds_without_a_good_one(bad: int, every: float, state: str) -> None:
    subject = Subject()
    subject.calls(good=3, every=0.1)
    subject.calls(bad=bad, every=every)
    assert subject.state == state


def test_one_good_call_begins_the_two_seconds_anew() -> None:
    subject = Subject()
    subject.calls(bad=4, every=0.6)
    subject.calls(good=1)
    subject.calls(bad=4, every=0.6)
    assert subject.state == "closed"


def test_a_stream_that_is_cut_after_its_first_content_is_one_bad_call_and_no_good_one() -> None:
    subject = Subject()
    for _ in range(5):
        call = subject.circuit.enter()
        call.good()
        call.good()
        subject.now += 0.5
        call.bad()
        call.bad()
        call.leave()
    assert subject.state == "open"


def test_waits_double_up_to_thirty_seconds_and_start_over_once_it_closes() -> None:
    subject = Subject().opened()
    waits = []
    for _ in range(7):
        waits.append(subject.refuses())
        subject.now += waits[-1]
        subject.circuit.probed(answered=True)
        subject.calls(bad=1)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    subject.now += 30
    subject.circuit.probed(answered=True)
    subject.calls(good=1)
    assert subject.state == "closed"
    assert subject.opened().refuses() == 1


def test_a_wait_is_at_most_a_quarter_shorter() -> None:
    assert Subject(jitter=1.0).opened().refuses() == 1 - JITTER


def test_only_one_live_call_tries_a_half_open_model() -> None:
    subject = Subject().half_opened()
    assert subject.circuit.admits
    subject.circuit.enter()
    assert not subject.circuit.admits
    assert subject.refuses() == subject.circuit.opens_in == 1


def test_a_caller_who_leaves_gives_the_place_back() -> None:
    subject = Subject().half_opened()
    left = subject.circuit.enter()
    left.leave()
    assert subject.state == "half-open"
    live = subject.circuit.enter()
    left.bad()
    left.leave()
    assert not subject.circuit.admits
    live.good()
    assert subject.state == "closed"


def test_calls_from_before_a_change_have_no_say() -> None:
    subject = Subject()
    early = [subject.circuit.enter() for _ in range(3)]
    subject.half_opened()
    early[0].good()
    early[1].bad()
    early[2].leave()
    live = subject.circuit.enter()
    assert subject.states == ["open", "half-open"]
    live.good()
    live.bad()
    assert subject.state == "closed", "a single bad call does not open it"


def test_a_probe_that_comes_back_ends_the_wait_once() -> None:
    subject = Subject().opened()
    for _ in range(4):  # a long wait
        subject.now = subject.circuit.until
        subject.circuit.probed(answered=True)
        subject.calls(bad=1)
    subject.circuit.probed(answered=False)
    assert subject.state == "open"
    subject.circuit.probed(answered=True)
    assert subject.state == "half-open"
    subject.calls(bad=1)
    assert subject.refuses() == 1
    subject.circuit.probed(answered=True)
    assert subject.state == "open", "it has not been away since"


def test_a_probe_that_fails_keeps_callers_away_if_it_has_answered_before() -> None:
    subject = Subject()
    subject.circuit.probed(answered=True)
    subject.opened()
    for wait in (1, 2, 4, 8, 16, 30, 30):
        assert subject.refuses() == wait
        subject.now += wait
        subject.circuit.probed(answered=False)
        assert subject.state == "open"
    subject.now += TRUST_SECONDS
    subject.circuit.probed(answered=False)
    assert subject.state == "half-open", "it may be the probe that is broken"


def test_a_probe_that_never_answered_keeps_nobody_away() -> None:
    subject = Subject().opened()
    subject.circuit.probed(answered=False)
    assert subject.refuses() == 1
    subject.now += 1
    subject.circuit.probed(answered=False)
    assert subject.state == "half-open"


def test_a_probe_that_comes_and_goes_costs_less_than_a_call_a_second() -> None:
    subject, calls = Subject().opened(), 0
    for second in range(60):
        subject.now += 1
        subject.circuit.probed(answered=bool(second % 2))
        if subject.circuit.admits:
            subject.calls(bad=1)
            calls += 1
    assert calls <= 31

"""The breaker's state machine: when it opens, what it lets in, and what holds whatever happens."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.errors import ModelUnavailable
from app.models.circuit import JITTER, LONGEST_WAIT_SECONDS, Call, Circuit
from app.models.probe_answers import TRUST_SECONDS


class Subject:
    """A circuit with a clock to set."""

    def __init__(self, jitter: float = 0.0, now: float = 1000.0) -> None:
        self.now = now
        self.states: list[str] = []
        self.circuit = Circuit(lambda: self.now, lambda: jitter, lambda: self.states.append(self.state))

    @property
    def state(self) -> str:
        return self.circuit.state

    def calls(self, good: int = 0, bad: int = 0, every: float = 0.0) -> None:
        for verdict in [True] * good + [False] * bad:
            call = self.circuit.enter()
            if verdict:
                call.good()
            else:
                call.bad()
            call.leave()
            self.now += every

    def opened(self) -> "Subject":
        while self.state == "closed":
            self.calls(bad=1)
        assert self.state == "open"
        return self

    def half_opened(self) -> "Subject":
        self.opened().now += LONGEST_WAIT_SECONDS
        self.circuit.probed(answered=True)
        assert self.state == "half-open"
        return self

    def refuses(self) -> float:
        with pytest.raises(ModelUnavailable) as refused:
            self.circuit.enter()
        assert refused.value.reason == "breaker_open"
        assert refused.value.retry_after is not None
        return refused.value.retry_after


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


class Anything(RuleBasedStateMachine):
    """Calls that come, answer, are cut and leave in any order, while time passes and probes say what they like."""

    @initialize(jitter=st.floats(0, 1))
    def start(self, jitter: float) -> None:
        self.subject = Subject(jitter)
        self.circuit = self.subject.circuit
        self.open: list[Call] = []
        self.live: Call | None = None
        self.silent = False

    def changed(self, before: str, *allowed: str) -> None:
        assert self.subject.state in {before, *allowed}
        if self.subject.state != "half-open":
            self.live = None

    @rule(seconds=st.floats(0, 4) | st.sampled_from([1.0, 10.0, 30.0, 400.0]))
    def pass_time(self, seconds: float) -> None:
        self.subject.now += seconds

    @rule()
    def enter(self) -> None:
        state, admits = self.subject.state, self.circuit.admits
        assert admits == (self.circuit.opens_in == 0 and state != "open")
        assert admits == (state == "closed" or (state == "half-open" and self.live is None))
        if not admits:
            self.subject.refuses()
            return
        call = self.circuit.enter()
        self.open.append(call)
        if state == "half-open":
            self.live = call
        self.changed(state)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), ends=st.sampled_from(["good", "bad", "leave"]))
    def tell(self, data: st.DataObject, ends: str) -> None:
        call = data.draw(st.sampled_from(self.open))
        state, live = self.subject.state, call is self.live
        getattr(call, ends)()
        if ends != "good":
            self.open.remove(call)
        if live:
            self.live = None
            after = {"good": "closed", "bad": "open", "leave": "half-open"}[ends]
            assert self.subject.state == after
        elif state == "closed":
            self.changed(state, *(["open"] if ends == "bad" else []))
        else:
            self.changed(state)

    @rule(bad=st.integers(1, 25))
    def burst(self, bad: int) -> None:
        for _ in range(bad):
            if self.subject.state == "closed":
                self.circuit.enter().bad()

    @rule(answered=st.booleans())
    def probe(self, answered: bool) -> None:
        state, due = self.subject.state, self.subject.now >= self.circuit.until
        came_back = answered and self.silent
        self.silent = not answered
        self.circuit.probed(answered=answered)
        if state != "open":
            assert self.subject.state == state
        elif came_back or (answered and due):
            assert self.subject.state == "half-open"
        elif not due:
            assert self.subject.state == "open"

    @invariant()
    def counts(self) -> None:
        verdicts = self.circuit._verdicts
        assert verdicts.good == sum(piece.good for piece in verdicts._slices)
        assert verdicts.bad == sum(piece.bad for piece in verdicts._slices)
        assert all(piece.good >= 0 and piece.bad >= 0 for piece in verdicts._slices)
        assert len(verdicts._slices) <= 100

    @invariant()
    def waits(self) -> None:
        if self.subject.state == "open":
            assert self.circuit.until - self.subject.now <= LONGEST_WAIT_SECONDS


Anything.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnything = Anything.TestCase

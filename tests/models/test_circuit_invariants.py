"""The breaker's state machine: what holds whatever happens."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.models.circuit import LONGEST_WAIT_SECONDS, Call
from tests.models.circuit_subject import Subject


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
        self.circuit.check()
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

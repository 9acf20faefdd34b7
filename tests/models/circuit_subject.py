"""A breaker's state machine under test, with a clock to set."""

import pytest

from app.errors import ModelUnavailable
from app.models.circuit import LONGEST_WAIT_SECONDS, Circuit


class Subject:
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
        with pytest.raises(ModelUnavailable):
            self.circuit.check()
        with pytest.raises(ModelUnavailable) as refused:
            self.circuit.enter()
        assert refused.value.reason == "breaker_open"
        assert refused.value.retry_after is not None
        return refused.value.retry_after

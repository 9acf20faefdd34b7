"""The breaker's state machine. Pure: no tasks, no logs, and the clock is passed in.

**Closed**: calls pass, and how they went is counted (app/models/verdicts.py). A model that fails opens it.

**Open**: no call passes. The first wait is 1 s and each further one twice as long, up to 30 s, minus up to a quarter at
random, so that processes that opened together spread out; "full jitter" could shrink a wait to nothing. Meanwhile the
model's free probe is asked about once a second, and `probed` says:

- A probe that had failed and now answers ends the wait at once, and the next wait is the first one again: the server is
  back, perhaps still loading. This happens once each time that the probe comes back, so a provider whose probe answers
  all along while its calls fail gets no more calls than the waits allow.
- A probe that answers after the wait: half-open.
- A probe that fails after the wait: the wait begins anew, twice as long, and no caller has to find out. A probe that
  never answered, or has failed for more than 5 min, is not believed: the model is half-open after each wait.

**Half-open**: one live call at a time. Good closes, bad opens with the next wait, and a caller who leaves without
either gives the place back. Verdicts of calls that began before the last change count for nothing.
"""

from collections.abc import Callable
from typing import Literal

from app.errors import ModelUnavailable
from app.models.probe_answers import ProbeAnswers
from app.models.verdicts import Slice, Verdicts

State = Literal["closed", "half-open", "open"]

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, JITTER = 1.0, 30.0, 0.25
_LIVE_CALL_SECONDS = 1.0  # Retry-After while the live call decides
_OVER = -1  # the epoch of a call that has nothing more to say


class Call:
    """A call that was let in: `good` at its first content, `bad` when it is cut, which takes the good back; each counts
    once. `leave` ends every call, and frees the place of a live call without a verdict."""

    __slots__ = ("_circuit", "counted", "epoch")

    def __init__(self, circuit: "Circuit", epoch: int) -> None:
        self._circuit = circuit
        self.epoch = epoch
        self.counted: Slice | None = None

    def good(self) -> None:
        if self.counted is None and self.epoch == self._circuit.epoch:
            self._circuit.good(self)

    def bad(self) -> None:
        if self.epoch == self._circuit.epoch:
            self._circuit.bad(self)
        self.epoch = _OVER

    def leave(self) -> None:
        if self.counted is None and self.epoch == self._circuit.epoch:
            self._circuit.left()
        self.epoch = _OVER


class Circuit:
    """One model's state in this process. `jitter` returns numbers from 0 to 1; `on_change` is told each new state."""

    def __init__(self, clock: Callable[[], float], jitter: Callable[[], float], on_change: Callable[[], None]) -> None:
        self.state: State = "closed"
        self.epoch = 0  # grows with each change and each live call; calls of an earlier one have no say
        self.until = 0.0  # the end of the wait, while open
        self._clock = clock
        self._jitter = jitter
        self._on_change = on_change
        self._verdicts = Verdicts()
        self._wait = 0.0  # the last one, before jitter
        self._live = False
        self._probes = ProbeAnswers()

    @property
    def admits(self) -> bool:
        """Whether `enter` would let a call in now."""
        return self.state == "closed" or (self.state == "half-open" and not self._live)

    @property
    def opens_in(self) -> float:
        """Seconds after which a call may be let in; 0 if one may now."""
        if self.state == "open":
            return max(0.0, self.until - self._clock())
        return 0.0 if self.admits else _LIVE_CALL_SECONDS

    def check(self) -> None:
        """Raises ModelUnavailable if `enter` would."""
        if not self.admits:
            raise ModelUnavailable(
                "The model keeps failing and is left alone for a moment. Try again later.",
                reason="breaker_open",
                retry_after=self.opens_in,
            )

    def enter(self) -> Call:
        """Let a call in. Raises ModelUnavailable."""
        if self.state != "closed":
            self.check()
            self._live = True
            self.epoch += 1
        return Call(self, self.epoch)

    def good(self, call: Call) -> None:
        """A call of this epoch had its first content."""
        if self.state == "half-open":
            self._verdicts = Verdicts()
            self._wait = 0.0
            self._become("closed")
            call.epoch = self.epoch
        call.counted = self._verdicts.add_good(self._clock())

    def bad(self, call: Call) -> None:
        """A call of this epoch failed."""
        now = self._clock()
        if self.state == "closed":
            if call.counted is not None:
                self._verdicts.take_back(call.counted, now)
            if not self._verdicts.add_bad(now):
                return
        self._open(now)

    def left(self) -> None:
        """A call of this epoch ended without a verdict."""
        if self.state == "half-open":
            self._live = False
            self.epoch += 1

    def probed(self, *, answered: bool) -> None:
        """The model's probe has answered, or failed."""
        now = self._clock()
        came_back = self._probes.add(answered=answered, now=now)
        if self.state != "open" or (now < self.until and not came_back):
            return
        if self._probes.is_down(now):
            self._open(now)
            return
        if came_back:
            self._wait = 0.0
        self._become("half-open")

    def _open(self, now: float) -> None:
        self._wait = min(self._wait * 2 or FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)
        self.until = now + self._wait * (1 - JITTER * self._jitter())
        self._become("open")

    def _become(self, state: State) -> None:
        self.state = state
        self.epoch += 1
        self._live = False
        self._on_change()

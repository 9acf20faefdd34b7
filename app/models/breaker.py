"""One model's breaker in this process: calls of a model that keeps failing are refused until it is back."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Final

from app.models.circuit import Circuit, State
from app.telemetry import metrics
from app.telemetry.logs import log

PROBE_EVERY_SECONDS = 1.0
"""While open. A probe has as long to answer, so that one sent into an outage does not outlast it."""

STATES: Final[tuple[State, ...]] = ("closed", "half-open", "open")
"""By the number in `agent_breaker_state`."""


class Breaker:
    """A Circuit with a metric, a log line when it opens and when it closes, and a task that probes while it is open.

    An open model so becomes half-open by itself, whether or not anybody calls it, at most about 2 s after its probe
    answers again.
    """

    def __init__(
        self,
        ref: str,
        probe: Callable[[], Awaitable[object]],
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`probe` costs nothing at the provider, and raises unless the model is alive."""
        self.ref = ref
        self._probe = probe
        self._clock = clock
        self._circuit = Circuit(clock, jitter, self._changed)
        self.check = self._circuit.check
        """For a call that has to wait for something else before it can `enter`. Raises as that does."""
        self.enter = self._circuit.enter
        """Lets a call in; tell it `good` or `bad`, and `leave` in any case.

        Raises ModelUnavailable with the reason `breaker_open`.
        """
        self._gauge = metrics.BREAKER_STATE.labels(ref)
        self._opened_at: float | None = None
        self._probing: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        return self._circuit.state

    @property
    def admits(self) -> bool:
        """Whether `enter` would let a call in now: closed, or half-open without a live call."""
        return self._circuit.admits

    @property
    def opens_in(self) -> float:
        """Seconds after which a call may be let in; 0 if one may now. A probe can make it sooner."""
        return self._circuit.opens_in

    async def probe(self) -> None:
        """As the model's own probe. Each answer in time is one that the breaker relies on when it opens."""
        started = self._clock()
        await self._probe()
        if self._clock() - started <= PROBE_EVERY_SECONDS:
            self._circuit.probed(answered=True)

    async def aclose(self) -> None:
        """Stop probing."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    def _changed(self) -> None:
        state = self._circuit.state
        self._gauge.set(STATES.index(state))
        if state == "open":
            self._opened()
        elif state == "closed":
            self._closed()

    def _opened(self) -> None:
        if self._opened_at is None:
            self._opened_at = self._clock()
            log.warning("model.breaker", model=self.ref, state="open")
        if self._probing is None or self._probing.done():
            # in a context of its own: it belongs to no request
            self._probing = asyncio.create_task(self._probe_while_open(), context=Context())

    def _closed(self) -> None:
        opened_at, self._opened_at = self._opened_at, None
        seconds = 0.0 if opened_at is None else round(self._clock() - opened_at, 1)
        log.info("model.breaker", model=self.ref, state="closed", open_seconds=seconds)
        if self._probing is not None:
            self._probing.cancel()
            self._probing = None

    async def _probe_while_open(self) -> None:
        while True:
            next_at = self._clock() + PROBE_EVERY_SECONDS
            self._circuit.probed(answered=await self._answers())
            if self._circuit.state != "open":
                return
            await asyncio.sleep(min(next_at, self._circuit.until) - self._clock())

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_EVERY_SECONDS):
                await self._probe()
        except Exception:  # noqa: BLE001  whatever a probe raises, it has not answered; the prober logs it
            return False
        return True

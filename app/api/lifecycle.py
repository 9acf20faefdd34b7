"""The state of the process: starting, ready or draining, and how busy. One object a process, owned by the server."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Literal

from app.telemetry import metrics

State = Literal["starting", "ready", "draining"]
Readiness = Literal["starting", "ready", "draining", "overloaded", "failing"]

_HIGH_WATER = 0.9  # of the maximum, from which on others are asked to take the load


class Lifecycle:
    def __init__(self, max_active: int = sys.maxsize) -> None:
        self.state: State = "starting"
        self.started_at = time.monotonic()
        self.cut_off = asyncio.Event()  # the drain is over: what is still being done ends now
        self.at_drain: set[Callable[[], None]] = set()  # called when the drain begins
        self.at_cut_off: set[Callable[[], None]] = set()  # and when it is over
        self.active = 0  # requests being answered, probes left out
        self._max_active = max_active
        self._high_water = max(1, int(max_active * _HIGH_WATER))
        self._failing: set[str] = set()
        self._last_arrival = 0.0
        metrics.ACTIVE_REQUESTS.set_function(lambda: self.active)

    def drain(self) -> None:
        self.state = "draining"
        for call in tuple(self.at_drain):
            call()

    def cut(self) -> None:
        """What is still being done ends now."""
        self.cut_off.set()
        for call in tuple(self.at_cut_off):
            call()

    @property
    def draining(self) -> bool:
        return self.state == "draining"

    @property
    def readiness(self) -> Readiness:
        """`ready` if this process should get requests, else the reason why not."""
        if self.state != "ready":
            return self.state
        if self._failing:
            return "failing"
        return "overloaded" if self.active >= self._high_water else "ready"

    @property
    def overloaded(self) -> bool:
        """True if the request that has just started exceeds the maximum."""
        return self.active > self._max_active

    def failed(self, task: str) -> None:
        """A background task that requests depend on keeps dying."""
        self._failing.add(task)

    def recovered(self, task: str) -> None:
        self._failing.discard(task)

    def request_started(self) -> None:
        self.active += 1
        self._last_arrival = time.monotonic()

    def request_finished(self) -> None:
        self.active -= 1

    def quiet_seconds(self) -> float:
        """Seconds since the last request arrived; 0 while one is being answered."""
        return 0.0 if self.active else time.monotonic() - self._last_arrival

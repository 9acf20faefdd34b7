"""Where the process is in its life, and what it is busy with. One object a process, owned by the server."""

import asyncio
import time
from typing import Literal

from app.telemetry import metrics

State = Literal["starting", "ready", "draining"]


class Lifecycle:
    def __init__(self) -> None:
        self.state: State = "starting"
        self.started_at = time.monotonic()
        self.cut_off = asyncio.Event()  # the drain is over: what is still being done ends now
        self.active = 0  # requests being answered, probes left out
        self._last_arrival = 0.0
        metrics.ACTIVE_REQUESTS.set_function(lambda: self.active)

    @property
    def draining(self) -> bool:
        return self.state == "draining"

    def request_started(self) -> None:
        self.active += 1
        self._last_arrival = time.monotonic()

    def request_finished(self) -> None:
        self.active -= 1

    def quiet_seconds(self) -> float:
        """How long nothing has arrived; 0 while a request is being answered."""
        return 0.0 if self.active else time.monotonic() - self._last_arrival

"""How long a model may be silent within a call: until its first content, and between two pieces of it."""

import asyncio
from collections.abc import Awaitable, Callable
from math import inf
from types import TracebackType
from typing import cast

from msgspec import Struct

from app.models.estimates import estimated_input_tokens
from app.models.protocol import ModelRequest
from app.models.providers.failures import unavailable

LOADING_ASKED_SECONDS = 5.0
"""After which a model that can be loading is asked whether it is."""

WaitLoaded = Callable[[], Awaitable[bool]]
"""Returns when the model is loaded: True if it was not yet."""


class Deadlines(Struct, frozen=True):
    """In seconds. Those of contents are for streamed calls: a plain one tells nothing before its end."""

    first_content: float = inf
    per_1000_tokens: float = 0.0
    """Added to the first for each 1,000 tokens of input."""
    gap: float = inf


class Silence:
    """Watches one attempt, for `with`. What is heard is written to `heard_at`, by the event loop's clock.

    There is one timer, which is not touched while content comes: when it fires too early it is set anew. `ends_at`
    bounds a plain call, and a stream until its first content: whose answer is on its way is not cut by it.

    Raises ModelUnavailable: `silent`, `stalled`, or for a plain call `timeout`.
    """

    __slots__ = (
        "_asking",
        "_cancelling",
        "_deadlines",
        "_ends_at",
        "_expired",
        "_input",
        "_request",
        "_since",
        "_task",
        "_timer",
        "_wait_loaded",
        "clock",
        "heard_at",
    )

    def __init__(
        self, request: ModelRequest, deadlines: Deadlines, ends_at: float, wait_loaded: WaitLoaded | None = None
    ) -> None:
        """`wait_loaded` is asked when a stream stays silent: the time of loading is not counted."""
        self.clock = asyncio.get_running_loop().time
        self.heard_at = 0.0
        """When the last piece came; 0: none has."""
        self._request = request
        self._deadlines = deadlines
        self._ends_at = ends_at
        self._wait_loaded = wait_loaded
        self._input: float | None = None  # the part of the deadline for the input, which is estimated when it matters
        self._expired = ""
        self._asking: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None

    def __enter__(self) -> None:
        self._since = self.clock()
        self._set(min(self._first_look(), self._ends_at))
        if self._timer is not None:
            self._task = task = cast("asyncio.Task[object]", asyncio.current_task())
            self._cancelling = task.cancelling()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            self._asking.remove_done_callback(self._loaded)
            self._asking.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise unavailable(self._expired) from error

    def _first_look(self) -> float:
        if not self._request.stream:
            return inf
        first = self._deadlines.first_content
        return self._since + (first if self._wait_loaded is None else min(LOADING_ASKED_SECONDS, first / 2))

    def _set(self, due: float) -> None:
        self._timer = None if due == inf else asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        """The timer has fired: set it anew, or end the attempt."""
        due, reason = self._due()
        if self.clock() < due:
            self._set(due)
        else:
            self._expired = reason
            self._task.cancel()

    def _due(self) -> tuple[float, str]:
        """When the attempt is to end unless something is heard, and what it then is."""
        if not self._request.stream:
            return self._ends_at, "timeout"
        if self.heard_at:
            return self.heard_at + self._deadlines.gap, "stalled"
        if self._is_loading():
            return self._ends_at, "silent"
        if self._input is None:
            self._input = self._deadlines.per_1000_tokens * estimated_input_tokens(self._request) / 1000
        return min(self._since + self._deadlines.first_content + self._input, self._ends_at), "silent"

    def _is_loading(self) -> bool:
        if self._wait_loaded is not None:
            self._asking = asyncio.ensure_future(self._wait_loaded())
            self._asking.add_done_callback(self._loaded)
            self._wait_loaded = None
        return self._asking is not None and not self._asking.done()

    def _loaded(self, asking: asyncio.Future[bool]) -> None:
        if not asking.cancelled() and asking.result():
            self._since = self.clock()
        if self._timer is not None:
            self._timer.cancel()
        self._set(self.clock())

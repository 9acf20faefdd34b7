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

LATE_SECONDS = 0.05
"""A timer that is so late says that this process was held up: what models sent meanwhile has yet to be read, and gets
as long for it as the process was late."""

MAX_EXCUSE_SECONDS = 1.0

_current_task = cast("Callable[[asyncio.AbstractEventLoop], asyncio.Task[object]]", asyncio.current_task)

WaitLoaded = Callable[[], Awaitable[bool]]
"""Returns when the model is loaded: True if it was loading until now."""


class Deadlines(Struct, frozen=True):
    """In seconds. Those of contents are for streamed calls: a plain one tells nothing before its end."""

    first_content: float = inf
    per_1000_tokens: float = 0.0
    """Added to the first for each 1,000 tokens of input."""
    gap: float = inf


class Watch:
    """Watches all open attempts of one model with one timer, which is not touched while content comes."""

    def __init__(self, deadlines: Deadlines, wait_loaded: WaitLoaded | None = None) -> None:
        """`wait_loaded` is asked when a stream stays silent: the time of loading is not counted."""
        self.deadlines = deadlines
        self.wait_loaded = wait_loaded
        self.open: set[Silence] = set()
        self.asked_after = inf if wait_loaded is None else min(LOADING_ASKED_SECONDS, deadlines.first_content / 2)
        self._first_look = min(deadlines.first_content, deadlines.gap, self.asked_after)
        self._timer: asyncio.TimerHandle | None = None
        self._at = inf
        self._excused = False

    def begin(self, silence: "Silence") -> None:
        self.open.add(silence)
        since, due = silence.since, silence.ends_at
        if silence.request.stream and since + self._first_look < due:
            due = since + self._first_look
        if not since <= self._at <= due:  # a loop that was closed has left its timer
            self.look_at(due)

    def look_at(self, due: float) -> None:
        """Look at the latest then."""
        if self._timer is not None:
            self._timer.cancel()
        self._at = due
        self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        """End what is silent for too long, and set the timer for what can be next."""
        now = asyncio.get_running_loop().time()
        late = now - self._at
        self._timer, self._at = None, inf
        self._excused = late > LATE_SECONDS and not self._excused
        if self._excused:
            self.look_at(now + min(late, MAX_EXCUSE_SECONDS))
            return
        due = min((silence.look(now) for silence in tuple(self.open)), default=inf)
        if due < inf:
            self.look_at(due)


class Silence:
    """One attempt, for `with`. What is heard is written to `heard_at`, by the event loop's clock.

    `ends_at` bounds a plain call, and a stream until its first content: whose answer is on its way is not cut by it.
    Raises ModelUnavailable: `silent`, `stalled`, or for a plain call `timeout`.
    """

    __slots__ = (
        "_asking",
        "_cancelling",
        "_expired",
        "_task",
        "_watch",
        "clock",
        "ends_at",
        "heard_at",
        "request",
        "since",
    )

    def __init__(self, watch: Watch, request: ModelRequest, ends_at: float) -> None:
        self._watch = watch
        self.request = request
        self.ends_at = ends_at
        loop = asyncio.get_running_loop()
        self._task = _current_task(loop)
        self._cancelling = self._task.cancelling()
        self.clock = loop.time
        self.since = self.clock()
        """When it began, or when the model was loaded."""
        self.heard_at = 0.0
        """When the last piece came; 0: none has."""
        self._expired = ""
        self._asking: asyncio.Future[bool] | None = None

    def __enter__(self) -> None:
        self._watch.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._watch.open.discard(self)
        if self._asking is not None:
            self._asking.cancel()
        if self._expired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise unavailable(self._expired) from error

    def look(self, now: float) -> float:
        """When to look again; the attempt is ended where it is due."""
        if self._expired:
            return inf
        due, reason = self._due(now)
        if now >= due:
            self._expired = reason
            self._task.cancel()
            return inf
        return due if self.heard_at else min(due, now + self._watch.deadlines.gap)

    def _due(self, now: float) -> tuple[float, str]:
        """When the attempt is to end unless something is heard, and what it then is."""
        if not self.request.stream:
            return self.ends_at, "timeout"
        if self.heard_at:
            return self.heard_at + self._watch.deadlines.gap, "stalled"
        return min(self._due_first(now), self.ends_at), "silent"

    def _due_first(self, now: float) -> float:
        watch, deadlines = self._watch, self._watch.deadlines
        if self._asking is None and watch.wait_loaded is not None:
            if now < self.since + watch.asked_after:
                return self.since + watch.asked_after
            self._asking = asyncio.ensure_future(watch.wait_loaded())
            self._asking.add_done_callback(self._loaded)
        if self._asking is not None and not self._asking.done():
            return inf
        tokens = estimated_input_tokens(self.request) if deadlines.per_1000_tokens else 0
        return self.since + deadlines.first_content + deadlines.per_1000_tokens * tokens / 1000

    def _loaded(self, asking: asyncio.Future[bool]) -> None:
        if asking.cancelled():
            return
        if asking.result():
            self.since = self.clock()
        self._watch.look_at(self.clock())

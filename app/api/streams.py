"""A run as a stream of events, and a run as one answer. Both end the run when its client goes away."""

import asyncio
from collections.abc import Callable, Mapping

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.dialects.protocol import Dialect, Frame
from app.api.prefix import path_of
from app.runs.events import Answer, Event, RunFailed, RunFinished, RunStarted
from app.runs.handle import RunHandle
from app.telemetry import metrics

HEARTBEAT_SECONDS = 15.0
WATCH_AFTER_SECONDS = 0.1


STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]


class ClientGone(Exception):
    """The client left; there is nobody to answer."""


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


async def whole_answer(run: RunHandle, request: Request) -> tuple[Answer, Mapping[str, str]]:
    """The run's answer and its headers. Raises its error, or ClientGone when the client left before it was there."""
    with DisconnectWatch(request.receive, run.cancel):
        events = await run.complete()
    if run.left:
        raise ClientGone
    first, last = (events[0], events[-1]) if events else (None, None)
    if isinstance(last, RunFinished):
        return last.answer, first.headers if isinstance(first, RunStarted) else {}
    if isinstance(last, RunFailed):
        raise last.error
    raise ClientGone


class DisconnectWatch(Struct):
    """Calls `gone` when the client disconnects. An answer that is over soon costs no task for it."""

    _receive: Receive
    _gone: Callable[[], None]
    _watcher: asyncio.Task[None] | None = None
    _timer: asyncio.TimerHandle | None = None

    def _watch(self) -> None:
        self._watcher = asyncio.create_task(_call_when_gone(self._gone, self._receive))

    def __enter__(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER_SECONDS, self._watch)

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()


async def _call_when_gone(gone: Callable[[], None], receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    gone()


class EventStream(Response):
    """Sends a run's events as they happen; those that are ready together are written together.

    A complete stream ends with the dialect's end mark; one without it was cut.
    """

    def __init__(self, run: RunHandle, events: list[Event], dialect: Dialect) -> None:
        started = events[0] if events else None
        limits = started.headers if isinstance(started, RunStarted) else {}
        self.status_code, self.background = 200, None
        self.raw_headers = [*STREAM_HEADERS, *encoded(limits)]
        self._run = run
        self._events = events
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._run:
            metrics.ACTIVE_STREAMS.inc()
            try:
                with DisconnectWatch(receive, self._run.cancel):
                    await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                    await self._send_events(send, self._dialect.frames(path_of(scope)))
            finally:
                metrics.ACTIVE_STREAMS.dec()

    async def _send_events(self, send: Send, frame: Frame) -> None:
        run, events, sent = self._run, self._events, 0
        with Heartbeat(run.wake) as heartbeat:
            while True:
                if events:
                    body = b"".join([frame(number, event) for number, event in enumerate(events, sent + 1)])
                    sent += len(events)
                elif run.over:  # cancelled
                    return
                else:
                    body = self._dialect.heartbeat
                whole = bool(events) and isinstance(events[-1], RunFinished | RunFailed)
                if body or whole:
                    await send({"type": "http.response.body", "body": body, "more_body": not whole})
                    heartbeat.written()
                if whole:
                    return
                await run.wait()
                if run.left:
                    return
                events = run.take()


class Heartbeat:
    """Wakes a stream's writer when nothing has been written for a while. One timer, not one a write."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._written = self._loop.time()
        self._timer = self._loop.call_later(HEARTBEAT_SECONDS, self._beat)

    def written(self) -> None:
        self._written = self._loop.time()

    def _beat(self) -> None:
        due = self._written + HEARTBEAT_SECONDS - self._loop.time()
        if due <= 0:
            self._wake()
            due = HEARTBEAT_SECONDS
        self._timer = self._loop.call_later(due, self._beat)

    def __enter__(self) -> "Heartbeat":
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

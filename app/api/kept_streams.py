"""The events of a run that is kept, as a stream: from the store and as they come, whoever works on the run."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.access.principal import Credential
from app.api.dialects.protocol import Dialect, KeptFrame
from app.api.lifecycle import Lifecycle
from app.api.prefix import path_of
from app.api.streams import STREAM_HEADERS, DisconnectWatch, Heartbeat, encoded
from app.durable.event_codec import ends, pauses
from app.durable.run_events import RunEvents
from app.errors import AppError
from app.telemetry import metrics
from app.telemetry.logs import log

Left = Callable[[], Awaitable[None]]


class KeptStream(Response):
    """Sends the events with their numbers.

    It ends without the end mark when the process leaves or the events cannot be had: the client goes on with the last
    number it has, here or at another process.
    """

    def __init__(
        self,
        events: RunEvents,
        dialect: Dialect,
        lifecycle: Lifecycle,
        open_streams: "set[KeptStream]",
        *,
        credential: Credential,
        headers: Mapping[str, str],
        left: Left | None = None,
        here: bool = False,
        answers: bool = False,
    ) -> None:
        """`credential` is what the reader has shown. `left` is awaited when the client leaves before the end. `here`:
        this process works on the run, and the stream lasts through the drain. `answers`: the stream is the answer to
        the request for the run, and is whole as well when the run has to wait for a person."""
        self.status_code, self.background = 200, None
        self.raw_headers = [*STREAM_HEADERS, *encoded(headers)]
        self._events = events
        self._dialect = dialect
        self._open = open_streams
        self._left = left
        self._answers = answers
        self._credential = credential
        self._ends = lifecycle.at_cut_off if here else lifecycle.at_drain
        self._over = self._gone = self._whole = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics.ACTIVE_STREAMS.inc()
        metrics.RUN_FOLLOWERS.inc()
        self._task, self._send = asyncio.current_task(), send
        self._ends.add(self._end)
        self._open.add(self)
        try:
            with DisconnectWatch(receive, self._client_left):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await self._send_events(self._dialect.kept_frames(path_of(scope)))
        except asyncio.CancelledError:
            if not self._over or self._task is None or self._task.uncancel():
                raise
        finally:
            self._over = True
            self._ends.discard(self._end)
            self._open.discard(self)
            metrics.ACTIVE_STREAMS.dec()
            metrics.RUN_FOLLOWERS.dec()
        if not self._gone and not self._whole:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif self._gone and self._left is not None:
            await self._left()

    async def _send_events(self, frame: KeptFrame) -> None:
        with Heartbeat(self._beat) as heartbeat:
            async with aclosing(self._events) as events:
                try:
                    async for batch in events:
                        body = b"".join([frame(number, event) for number, event in batch])
                        paused = self._answers and pauses(batch[-1][1])
                        if paused:
                            body += self._dialect.end_mark
                        self._whole = paused or ends(batch[-1][1])
                        await self._send({"type": "http.response.body", "body": body, "more_body": not self._whole})
                        heartbeat.written()
                        if paused:
                            return
                except AppError as error:  # of the store, or of a reader so slow that events are gone
                    log.info("run.stream_cut", reason=error.slug)
                    return
        if not self._whole:  # the reader had the last event before
            self._whole = True
            await self._send({"type": "http.response.body", "body": self._dialect.end_mark, "more_body": False})

    def _beat(self) -> None:
        """Nothing was written for a while."""
        self._beating = asyncio.create_task(self._send_heartbeat())

    async def _send_heartbeat(self) -> None:
        if not self._whole:
            await self._send({"type": "http.response.body", "body": self._dialect.heartbeat, "more_body": True})

    def _client_left(self) -> None:
        self._gone = True
        self._end()

    def end_withdrawn(self) -> None:
        """End the stream if its reader may not read any more."""
        if self._credential.withdrawn():
            self._end()

    def _end(self) -> None:
        if not self._over and self._task is not None:
            self._over = True
            self._task.cancel()

"""The events of a run that is kept, as a stream: from the store and as they come, whoever works on the run."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.dialects.protocol import Dialect, KeptFrame
from app.api.lifecycle import Lifecycle
from app.api.prefix import path_of
from app.api.streams import STREAM_HEADERS, DisconnectWatch, Heartbeat, encoded
from app.durable.following import Follower
from app.durable.record import Numbered
from app.telemetry import metrics

Left = Callable[[], Awaitable[None]]


class KeptStream(Response):
    """Sends the events with their numbers, and has the follower closed.

    It ends without the end mark when the process leaves: the client goes on with the last number at another one.
    """

    def __init__(
        self,
        follower: Follower,
        dialect: Dialect,
        lifecycle: Lifecycle,
        *,
        first: Sequence[Numbered] = (),
        headers: Mapping[str, str],
        left: Left | None = None,
    ) -> None:
        """`first` are events that the follower has told before; `left` is awaited when the client leaves before the
        end. With it the stream lasts through the drain, for the run is worked on here."""
        self.status_code, self.background = 200, None
        self.raw_headers = [*STREAM_HEADERS, *encoded(headers)]
        self._follower = follower
        self._dialect = dialect
        self._first = first
        self._left = left
        self._ends = lifecycle.at_drain if left is None else lifecycle.at_cut_off
        self._gone = False
        self._ended = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics.ACTIVE_STREAMS.inc()
        metrics.RUN_FOLLOWERS.inc()
        self._ends.add(self._end)
        try:
            with DisconnectWatch(receive, self._client_left):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await self._send_events(send, self._dialect.kept_frames(path_of(scope)))
        finally:
            self._ends.discard(self._end)
            self._follower.close()
            metrics.ACTIVE_STREAMS.dec()
            metrics.RUN_FOLLOWERS.dec()
        if self._gone and self._left is not None:
            await self._left()

    def _client_left(self) -> None:
        self._gone = True
        self._end()

    def _end(self) -> None:
        self._ended = True
        self._follower.wake()

    async def _send_events(self, send: Send, frame: KeptFrame) -> None:
        follower, events = self._follower, self._first
        with Heartbeat(follower.wake) as heartbeat:
            while not self._ended:
                if not events and not follower.over:
                    await follower.wait()
                    if self._ended:
                        return
                    events = follower.take()
                if events:
                    body = b"".join([frame(number, event) for number, event in events])
                else:  # there is none after the one that was asked for, or none for a while
                    body = self._dialect.end_mark if follower.over else self._dialect.heartbeat
                more = not follower.over
                await send({"type": "http.response.body", "body": body, "more_body": more})
                if not more:
                    return
                heartbeat.written()
                events = ()

"""Reading that stays paused while a request waits, and a deadline for clients that do not read."""

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl

_PROGRESS_BYTES = 16_384
_NEVER = float("inf")


class Flow(FlowControl):
    """Uvicorn's flow control, whose `resume_reading` is for whoever asks for more of a body."""

    def __init__(self, transport: asyncio.Transport, write_seconds: float) -> None:
        super().__init__(transport)
        self._loop = asyncio.get_running_loop()
        self._write_seconds = write_seconds
        self._deadline = _NEVER
        self._unsent = 0
        self._held = False

    def hold_reading(self) -> None:
        """Pause until `release_reading`, whatever `resume_reading` says."""
        self._held = True
        self.pause_reading()

    def release_reading(self) -> None:
        self._held = False
        self.resume_reading()

    def resume_reading(self) -> None:
        if self.read_paused and not self._held:
            super().resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_progress(self._loop.time())

    def resume_writing(self) -> None:
        super().resume_writing()
        self._deadline = _NEVER

    def check(self, now: float) -> None:
        """Abort the connection if its client has read next to nothing since the last deadline."""
        if now >= self._deadline:
            if self._unsent - self._transport.get_write_buffer_size() < _PROGRESS_BYTES:
                self._transport.abort()
            self._expect_progress(now)
        elif self._deadline == _NEVER and self._transport.is_closing():
            self._expect_progress(now)  # closed, except that something is left to send

    def _expect_progress(self, now: float) -> None:
        self._unsent = self._transport.get_write_buffer_size()
        self._deadline = now + self._write_seconds

"""Spans of a request that is not sampled: they wait for the verdict whether it was worth a trace."""

from contextvars import ContextVar
from time import time_ns
from types import TracebackType
from typing import Self

from app.telemetry.failing import fail
from app.telemetry.recorded_spans import RecordedSpan

current_record: ContextVar[RecordedSpan | None] = ContextVar("current_record", default=None)
"""Of a request that is not sampled: OpenTelemetry's own context would cost more than all else that it keeps."""


class LateSpan(RecordedSpan):
    """A record that is kept with the others until the request is over. Instrumented libraries do not see it."""

    def __enter__(self) -> Self:
        recording = self.recording
        self.parent = current_record.get()
        self._token = current_record.set(self)
        recording.spans.append(self)
        recording.open += 1
        self.start_time = time_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        recording = self.recording
        if error is not None:
            fail(self, error)  # type: ignore[arg-type]
        self.end_time = time_ns()
        current_record.reset(self._token)
        recording.open -= 1
        if recording.end:
            recording.decide()

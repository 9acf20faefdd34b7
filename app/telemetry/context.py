"""The ids of the request being served, for every log line, span and answer that belongs to it."""

from contextvars import ContextVar

from msgspec import Struct

from app.telemetry.recording import Recording


class RequestContext(Struct, frozen=True):
    request_id: str
    trace_id: str  # 32 hexadecimal digits, as in W3C traceparent
    recording: Recording | None = None  # None: nothing is traced, or the request is not sampled and never will be


NO_REQUEST = RequestContext("", "")

current: ContextVar[RequestContext] = ContextVar("request_context", default=NO_REQUEST)

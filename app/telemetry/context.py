"""The ids of the request being served, for every log line, span and answer that belongs to it."""

from contextvars import ContextVar

from msgspec import Struct

from app.telemetry.late import LateTrace


class RequestContext(Struct, frozen=True):
    request_id: str
    trace_id: str  # 32 hexadecimal digits, as in W3C traceparent
    sampled: bool  # whether spans are recorded
    late: LateTrace | None = None  # where an unsampled request is recorded until it is known whether it is worth spans


NO_REQUEST = RequestContext("", "", sampled=False)

current: ContextVar[RequestContext] = ContextVar("request_context", default=NO_REQUEST)

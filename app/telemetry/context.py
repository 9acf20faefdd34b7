"""The ids of the request being served, for every log line, span and answer that belongs to it."""

from contextvars import ContextVar

from msgspec import Struct


class RequestContext(Struct, frozen=True):
    request_id: str
    trace_id: str  # 32 hexadecimal digits, as in W3C traceparent
    sampled: bool  # whether spans are recorded


NO_REQUEST = RequestContext("", "", sampled=False)

current: ContextVar[RequestContext] = ContextVar("request_context", default=NO_REQUEST)

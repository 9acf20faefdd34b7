"""The headers that tie what another server does to the request being served."""

from collections.abc import Mapping

from opentelemetry import trace

from app.telemetry.context import current

_NONE: Mapping[str, str] = {}
_ZERO = "0" * 16  # is no span's id


def trace_headers() -> Mapping[str, str]:
    """`traceparent` and `X-Request-Id`, none outside of a request.

    A request that is not sampled has no span: half of its trace id stands for one.
    """
    request = current.get()
    trace_id = request.trace_id
    if not trace_id:
        return _NONE
    if request.sampled and (span := trace.get_current_span().get_span_context()).is_valid:
        parent = f"00-{span.trace_id:032x}-{span.span_id:016x}-01"
    else:
        half = trace_id[16:]
        parent = f"00-{trace_id}-{trace_id[:16] if half == _ZERO else half}-00"
    return {"traceparent": parent, "X-Request-Id": request.request_id}

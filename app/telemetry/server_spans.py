"""The outermost span of a request, as OpenTelemetry's instrumentation of ASGI describes it. Loaded only when tracing is
on; the instrumentation's own middleware would take 200 µs for each request."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.instrumentation.asgi import collect_custom_headers_attributes, collect_request_attributes
from opentelemetry.trace import SpanContext, Status, StatusCode
from opentelemetry.util.http import (
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS,
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST,
    OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE,
    SanitizeValue,
    get_custom_headers,
    normalise_request_header_name,
    normalise_response_header_name,
    sanitize_method,
)

from app.telemetry.conventions import ERROR_TYPE, HTTP_METHOD, HTTP_ROUTE, HTTP_STATUS
from app.telemetry.recorded_spans import RecordedSpan
from app.telemetry.recording import FIRST_FAILURE, Exchange
from app.telemetry.traces import caller_of

_MODE = _StabilityMode.HTTP  # today's names of HTTP attributes


class ServerSpans:
    """Describes requests, with the headers that the environment wants captured."""

    def __init__(self) -> None:
        self._request_headers = get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST)
        self._response_headers = get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE)
        self._hide = SanitizeValue(get_custom_headers(OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS))

    def describe(self, span: RecordedSpan) -> SpanContext | None:
        """Give the span its name, attributes, status and links; returns its parent.

        Without the query, which may hold what nobody should read in a trace.
        """
        exchange: Exchange = span.of
        scope = {**exchange.scope, "query_string": b""}
        route = getattr(scope.get("route"), "path", "")
        method = sanitize_method(scope["method"])
        span.name = f"{'HTTP' if method == '_OTHER' else method} {route}".rstrip()
        try:
            span.set_attributes(collect_request_attributes(scope, _MODE))  # type: ignore[no-untyped-call]
            self._add_headers(span, exchange)
        except UnicodeDecodeError:  # a header that no client sends
            span.set_attributes({HTTP_METHOD: method, "url.scheme": scope["scheme"], "url.path": scope["path"]})
        if route:
            span.set_attribute(HTTP_ROUTE, route)
        if exchange.status:
            span.set_attribute(HTTP_STATUS, exchange.status)
        if exchange.status >= FIRST_FAILURE:
            span.set_attribute(ERROR_TYPE, str(exchange.status))
            span.set_status(Status(StatusCode.ERROR))
        return _caller(span, exchange)

    def _add_headers(self, span: RecordedSpan, exchange: Exchange) -> None:
        if not (self._request_headers or self._response_headers):
            return
        sides: tuple[tuple[Mapping[str, Any], list[str], Any], ...] = (
            (exchange.scope, self._request_headers, normalise_request_header_name),
            ({"headers": exchange.sent}, self._response_headers, normalise_response_header_name),
        )
        for message, wanted, named in sides:
            span.set_attributes(collect_custom_headers_attributes(dict(message), self._hide, wanted, named))


def _caller(span: RecordedSpan, exchange: Exchange) -> SpanContext | None:
    """The caller's span if it is the parent; else the span is linked to it, if there is one.

    It is the parent only where it is exported itself, in this trace. A caller that is not believed has another trace;
    one that does not sample, such as a gateway that samples one request of a hundred, would make an orphan of this one.
    """
    caller = caller_of(exchange.scope["headers"])
    if caller is None:
        return None
    if caller.trace_flags.sampled and f"{caller.trace_id:032x}" == span.recording.trace_id:
        return caller
    span.add_link(caller)
    return None

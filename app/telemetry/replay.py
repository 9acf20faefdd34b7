"""Makes spans of what a request has recorded that turned out to be worth it. Loaded only with late sampling."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from opentelemetry.context import Context
from opentelemetry.instrumentation._semconv import _StabilityMode
from opentelemetry.instrumentation.asgi import collect_request_attributes, set_status_code
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, NonRecordingSpan, Span, SpanKind, set_span_in_context

from app import __version__
from app.telemetry.conventions import HTTP_ROUTE, TRACE_LATE, TRACE_LEFT_OUT
from app.telemetry.late import LateTrace
from app.telemetry.late_spans import LateSpan
from app.telemetry.traces import caller_of

_MODE = _StabilityMode.HTTP  # as `provider` sets it for sampled requests
_NO_PARENT = Context()


class _GivenIds(RandomIdGenerator):
    """Hands out ids that were given away before their spans were made."""

    trace_id = 0
    span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        given, self.span_id = self.span_id, 0
        return given or super().generate_span_id()


class Replay:
    """Ends the spans of a late trace as the SDK would have, innermost first."""

    def __init__(self, resource: Resource, processor: SpanProcessor) -> None:
        self._ids = _GivenIds()
        provider = TracerProvider(ALWAYS_ON, resource, shutdown_on_exit=False, id_generator=self._ids)
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("agent-api", __version__)

    def __call__(self, late: LateTrace, reason: str) -> None:
        """`reason` is why the trace is kept."""
        self._ids.trace_id = int(late.trace_id, 16)
        root = self._root(late, reason)
        made: dict[LateSpan | None, Span] = {None: root}
        for record in late.spans:
            made[record] = self._span(record, made.get(record.parent, root))
        for record in sorted(late.spans, key=attrgetter("end_time")):
            made[record].end(record.end_time)
        root.end(late.end)

    def _root(self, late: LateTrace, reason: str) -> Span:
        """The request, as the instrumentation that it did not pass would have described it."""
        scope = {**late.scope, "query_string": b""}
        route = getattr(scope.get("route"), "path", "")
        described = collect_request_attributes(scope, _MODE)  # type: ignore[no-untyped-call]
        attributes = {**described, TRACE_LATE: reason}
        if route:
            attributes[HTTP_ROUTE] = route
        if late.left_out:
            attributes[TRACE_LEFT_OUT] = late.left_out
        parent, links = _caller(scope, late.trace_id)
        name = f"{scope['method']} {route}".rstrip()
        span = self._tracer.start_span(name, parent, SpanKind.SERVER, attributes, links, late.start)
        if late.status:
            set_status_code(span, late.status, None, _MODE)  # type: ignore[no-untyped-call]
        return span

    def _span(self, record: LateSpan, parent: Span) -> Span:
        self._ids.span_id = record.id
        within = set_span_in_context(parent, _NO_PARENT)
        span = self._tracer.start_span(
            record.name, within, record.kind, record.attributes, record.links, record.start_time
        )
        for attributes in record.more:
            span.set_attributes(attributes)
        for event in record.events:
            span.add_event(*event)
        if record.status is not None:
            span.set_status(record.status)
        return span


def _caller(scope: Mapping[str, Any], trace_id: str) -> tuple[Context, list[Link]]:
    """The caller's span, as the parent or as a link.

    It is the parent only where it is exported itself, in this trace. A caller that does not sample, such as a gateway
    that samples one request of a hundred, is linked: a parent that nobody has would make an orphan of the trace.
    """
    caller = caller_of(scope["headers"])
    if caller is None:
        return _NO_PARENT, []
    if caller.trace_flags.sampled and f"{caller.trace_id:032x}" == trace_id:
        return set_span_in_context(NonRecordingSpan(caller), _NO_PARENT), []
    return _NO_PARENT, [Link(caller)]

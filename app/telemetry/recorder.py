"""Makes the SDK's spans of records that have ended, once each. Loaded only when tracing is on.

The SDK's own `start_span` would cost ten times as much: it asks the sampler, locks, checks and copies for each span
what was decided with the request, or is known of this service's attributes.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, SpanProcessor
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status
from opentelemetry.util.types import AttributeValue

from app import __version__
from app.telemetry.recorded_spans import Attributes, RecordedSpan
from app.telemetry.server_spans import ServerSpans

T = TypeVar("T")
_SCOPE = InstrumentationScope("agent-api", __version__)
_UNSET = Status()
_PLAIN = frozenset({str, int, float, bool, tuple})


class Recorder:
    """Hands spans to a processor, within the limits of `OTEL_SPAN_…_LIMIT` and `OTEL_ATTRIBUTE_…_LIMIT`."""

    def __init__(self, resource: Resource, processor: SpanProcessor) -> None:
        self._resource = resource
        self._processor = processor
        self._limits = SpanLimits()
        self._server_spans = ServerSpans()

    def __call__(self, record: RecordedSpan) -> None:
        limits, own = self._limits, record.get_span_context()
        parent = self._server_spans.describe(record) if record.kind is SpanKind.SERVER else _parent(record)
        attributes = {**record.attributes(record.of)}
        for more in record.more:
            attributes.update(more)
        if record.told is not None:
            tell, of = record.told
            attributes.update(tell(of))
        span = ReadableSpan(
            name=record.name,
            context=own,
            parent=parent,
            resource=self._resource,
            attributes=_bounded(attributes, limits.max_span_attributes, limits.max_span_attribute_length),
            events=_within(limits.max_events, [self._event(*event) for event in record.events]),
            links=_within(limits.max_links, record.links),
            kind=record.kind,
            status=record.status or _UNSET,
            start_time=record.start_time,
            end_time=record.end_time,
            instrumentation_scope=_SCOPE,
        )
        self._processor.on_end(span)

    def _event(self, name: str, attributes: Attributes | None, timestamp: int) -> Event:
        limits = self._limits
        shown = _bounded(dict(attributes or {}), limits.max_event_attributes, limits.max_attribute_length)
        return Event(name, shown, timestamp)


def _parent(record: RecordedSpan) -> SpanContext | None:
    """The span that was the current one, this service's or a library's, or else the request's own."""
    trace_id = int(record.recording.trace_id, 16)
    for parent in (record.parent, record.recording.root):
        if parent is not None and (context := parent.get_span_context()).trace_id == trace_id:
            return context
    return None


def _bounded(
    attributes: dict[str, AttributeValue], most: int | None, longest: int | None
) -> Mapping[str, AttributeValue]:
    """The attributes within the limits and of types that can be exported: as they are, if they are plain and few."""
    for name, value in attributes.items():
        if type(value) is list:
            attributes[name] = tuple(value)
        elif type(value) not in _PLAIN:
            break
    else:
        if longest is None and (most is None or len(attributes) <= most):
            return attributes
    return BoundedAttributes(most, attributes, max_value_len=longest)


def _within(most: int | None, items: Sequence[T]) -> Sequence[T]:
    return items if most is None or len(items) <= most else BoundedList.from_seq(most, items)

"""Spans as OTLP has them. Loaded only when tracing is on.

The exporters' own encoder takes 70 µs a span, most of it for attributes that the spans before had as well: here these
are encoded once, since a message of protobuf is the sum of its encoded fields.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeGuard

from opentelemetry.exporter.otlp.proto.common._internal import (
    _encode_attributes,
    _encode_instrumentation_scope,
    _encode_resource,
)
from opentelemetry.exporter.otlp.proto.common._internal.trace_encoder import (
    _encode_events,
    _encode_links,
    _encode_status,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span, SpanFlags
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.types import AnyValue

_MAX_REMEMBERED = 1024
_MAX_CHARS = 64  # of a value that is remembered
_FLAGS = SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_FLAGS_OF_REMOTE = _FLAGS | SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK  # the parent
_KINDS = (Span.SPAN_KIND_INTERNAL, Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)  # as SpanKind numbers them


def encode_spans(spans: Sequence[ReadableSpan]) -> ExportTraceServiceRequest:
    """The request that exports these, which are all of this service."""
    request = ExportTraceServiceRequest()
    resource, scope = spans[0].resource, spans[0].instrumentation_scope
    of_resource = request.resource_spans.add(resource=_encode_resource(resource), schema_url=resource.schema_url)
    of_scope = of_resource.scope_spans.add(scope=_encode_instrumentation_scope(scope))  # type: ignore[arg-type]
    for span in spans:
        _add(span, of_scope)
    return request


def _add(span: ReadableSpan, of_scope: ScopeSpans) -> None:
    context, parent = span.context, span.parent
    remembered, rest = _attributes(span.attributes or {})
    encoded = of_scope.spans.add(
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        parent_span_id=b"" if parent is None else parent.span_id.to_bytes(8, "big"),
        name=span.name,
        kind=_KINDS[span.kind.value],
        start_time_unix_nano=span.start_time or 0,
        end_time_unix_nano=span.end_time or 0,
        attributes=_encode_attributes(rest),
        events=_encode_events(span.events),
        links=_encode_links(span.links),
        status=_encode_status(span.status),
        dropped_attributes_count=span.dropped_attributes,
        dropped_events_count=span.dropped_events,
        dropped_links_count=span.dropped_links,
        flags=_FLAGS_OF_REMOTE if parent is not None and parent.is_remote else _FLAGS,
    )
    encoded.MergeFromString(remembered)


def _attributes(attributes: Mapping[str, AnyValue]) -> tuple[bytes, Mapping[str, AnyValue]]:
    """Those that are remembered, as they stand in an encoded span, and the rest."""
    remembered, rest = [], {}
    for name, value in attributes.items():
        if _is_remembered(value):
            remembered.append(_attribute(name, value))
        else:
            rest[name] = value
    return b"".join(remembered), rest


def _is_remembered(value: AnyValue) -> TypeGuard[str | float]:
    """Not a float's zero: it equals the one with the other sign, and a memory would give one for the other."""
    if isinstance(value, str):
        return len(value) <= _MAX_CHARS
    return isinstance(value, int) or (isinstance(value, float) and value != 0)


@lru_cache(maxsize=_MAX_REMEMBERED, typed=True)
def _attribute(name: str, value: str | float) -> bytes:
    encoded: bytes = Span(attributes=_encode_attributes({name: value})).SerializeToString()
    return encoded

"""Spans as they are exported: without what exceptions say, in the dialects of TRACE_DIALECTS.

Loaded only when tracing is on.
"""

from collections.abc import Iterator, Sequence

from msgspec import DecodeError
from msgspec.json import decode, encode
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Status
from opentelemetry.util.types import AttributeValue

from app.errors import GuardUnavailable
from app.redaction.redactor import Redactor
from app.telemetry.dialects import Attributes, Translate
from app.telemetry.scrubbing import (
    GONE,
    may_hold_credentials,
    redactor_of_process,
    without_credentials,
    without_secrets,
)


class ScrubbedExporter(SpanExporter):
    """Exports spans with secrets taken out of their errors, which instrumentation records with message and stack, and
    in the dialects that are wanted."""

    def __init__(self, exporter: SpanExporter, translate: Translate | None = None) -> None:
        self._exporter = exporter
        self._translate = translate

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_scrubbed(span, self._translate) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _scrubbed(span: ReadableSpan, translate: Translate | None) -> ReadableSpan:
    """The span itself if there is nothing to scrub, as almost always."""
    given = span.attributes or {}
    attributes = _shown(given)
    if translate is not None:
        attributes = translate(attributes)
    if attributes is given and not span.events and not span.status.description:
        return span
    description = span.status.description
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        events=[_scrubbed_event(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, description and without_secrets(description)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _shown(attributes: Attributes) -> Attributes:
    """The attributes, without a credential that stood in a path or a header: as they are, as almost always."""
    texts = "\n".join(_texts(attributes))
    if may_hold_credentials(texts):
        attributes = {name: _without(value) for name, value in attributes.items()}
    if (redactor := redactor_of_process()) is not None and _holds(redactor, texts):
        attributes = {name: _redacted(redactor, name, value) for name, value in attributes.items()}
    return attributes


def _holds(redactor: Redactor, texts: str) -> bool:
    try:
        return redactor.holds(texts)
    except GuardUnavailable:
        return True


def _redacted(redactor: Redactor, name: str, value: AttributeValue) -> AttributeValue:
    """A value with secrets taken out; one that cannot be looked at is left out."""
    if not isinstance(value, str | tuple):
        return value
    try:
        if isinstance(value, str) and value[:1] in ("[", "{"):
            return encode(redactor.value(decode(value))).decode()
        return redactor.value(value)  # type: ignore[no-any-return]
    except DecodeError:
        return redactor.text(str(value))
    except GuardUnavailable:
        return GONE


def _texts(attributes: Attributes) -> Iterator[str]:
    for value in attributes.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from map(str, value)


def _without(value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        return tuple([without_credentials(str(part)) for part in value])
    return value


def _scrubbed_event(event: Event) -> Event:
    attributes = {
        name: without_secrets(value) if isinstance(value, str) and not name.endswith(".id") else value
        for name, value in (event.attributes or {}).items()
    }
    return Event(event.name, attributes, event.timestamp)

"""A record of a span: all that it takes to make one once it has ended. Needs nothing of the SDK."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from random import getrandbits
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from opentelemetry.context import attach, detach
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from app.telemetry.failing import fail

if TYPE_CHECKING:
    from app.telemetry.recording import Recording

T = TypeVar("T")
Attributes = Mapping[str, AttributeValue]
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


class RecordedSpan:
    """A span as OpenTelemetry's API has it, for `with`: the current one within the block, which ends it. Of a request
    that is sampled; see `late_spans` for the others.

    No Struct: of a dozen fields most are set once, or never, and Python sets those of its own classes faster.
    """

    parent: "Span | RecordedSpan | None" = None
    """None: the request's own span."""
    start_time = 0  # nanoseconds, as all times
    end_time = 0
    more: tuple[Attributes, ...] = ()
    """Attributes that were set, one after another."""
    told: tuple[Callable[[Any], Attributes], Any] | None = None
    events: tuple[tuple[str, Any, int], ...] = ()
    status: Status | None = None
    sent: list[str] | None = None
    """Of a model call: the URLs of the requests that it has sent so far."""
    _id = 0
    _context: SpanContext | None = None
    _token: Any = None

    def __init__(
        self,
        recording: "Recording",
        name: str,
        kind: SpanKind,
        attributes: Callable[[Any], Attributes],
        of: Any,
        links: Sequence[Link] = (),
    ) -> None:
        """It has the `attributes` of `of`."""
        self.recording = recording
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.of = of
        self.links = links

    def __enter__(self) -> Self:
        self.parent = get_current_span()  # instrumented libraries see it, too
        self._token = attach(set_span_in_context(self))  # type: ignore[arg-type]
        self.start_time = time_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if error is not None:
            fail(self, error)  # type: ignore[arg-type]
        self.end_time = time_ns()
        detach(self._token)
        self.recording.keep(self)

    def end(self, end_time: int | None = None) -> None:
        """Does nothing: the block ends it."""

    @property
    def id(self) -> int:
        """Made when somebody asks."""
        if not self._id:
            self._id = getrandbits(64) or 1
        return self._id

    def get_span_context(self) -> SpanContext:
        recording = self.recording
        if not recording.exported:
            return SpanContext(int(recording.trace_id, 16), self.id, is_remote=False)
        if self._context is None:
            self._context = SpanContext(int(recording.trace_id, 16), self.id, is_remote=False, trace_flags=_SAMPLED)
        return self._context

    def is_recording(self) -> bool:
        return not self.end_time

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self.more = (*self.more, {key: value})

    def set_attributes(self, attributes: Attributes) -> None:
        self.more = (*self.more, attributes)

    def tell_at_end(self, tell: Callable[[T], Attributes], of: T) -> None:
        """Have what `tell` returns of `of`, too; asked for as `attributes` are. Overwrites what was set before."""
        self.told = (tell, of)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.events = (*self.events, (name, attributes, timestamp or time_ns()))

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        self.links = (*self.links, Link(context, attributes))

    def update_name(self, name: str) -> None:
        self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        """For instrumented libraries; spans of this service say no more than an error's kind."""
        told = {
            "exception.type": type(exception).__qualname__,
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**told, **(attributes or {})}, timestamp)


Span.register(RecordedSpan)


def ids_of(span: Span) -> tuple[str, str]:
    """What a link to the span is made of, in hexadecimal: its trace and itself. Empty if nothing is recorded."""
    return (span.recording.trace_id, f"{span.id:016x}") if isinstance(span, RecordedSpan) else ("", "")


def count_sends(span: Span) -> None:
    """Have the requests below this span, a model call's, tell how many of them went to the same URL before."""
    if isinstance(span, RecordedSpan):
        span.sent = []


def sent_before(span: RecordedSpan, url: str) -> int:
    """How many requests the model call that the span is below has sent to this URL before; 0 below anything else."""
    sent: list[str] | None = getattr(span.parent, "sent", None)
    if sent is None:
        return 0
    sent.append(url)
    return sent.count(url) - 1

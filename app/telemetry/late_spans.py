"""A record of a span that may never be one: see `late`."""

from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from random import getrandbits
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from app.telemetry.failing import fail

if TYPE_CHECKING:
    from app.telemetry.late import LateTrace

Attributes = Mapping[str, AttributeValue]


class LateSpan(Struct, eq=False):
    """A span that may never be one, with what this service asks of a Span. Use in `with`."""

    trace: "LateTrace"
    name: str
    attributes: Attributes
    kind: SpanKind
    parent: "LateSpan | None"
    start_time: int
    links: Sequence[Link] = ()
    end_time: int = 0
    status: Status | None = None
    more: tuple[Attributes, ...] = ()
    events: tuple[tuple[str, Any, int], ...] = ()
    _id: int = 0
    _token: Token["LateSpan | None"] | None = None

    def __enter__(self) -> Self:
        self._token = current_span.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if self._token is not None:
            current_span.reset(self._token)
        if error is not None:
            fail(self, error)  # type: ignore[arg-type]
        self.end_time = time_ns()
        trace = self.trace
        trace.open -= 1
        if trace.end:
            trace.decide()

    @property
    def id(self) -> int:
        """Made when somebody asks."""
        self._id = self._id or getrandbits(64) or 1
        return self._id

    def get_span_context(self) -> SpanContext:
        return SpanContext(int(self.trace.trace_id, 16), self.id, is_remote=False, trace_flags=TraceFlags())

    def is_recording(self) -> bool:
        return not self.end_time

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self.more = (*self.more, {key: value})

    def set_attributes(self, attributes: Attributes) -> None:
        self.more = (*self.more, attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        self.events = (*self.events, (name, attributes, timestamp or time_ns()))

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        self.links = (*self.links, Link(context, attributes))

    def update_name(self, name: str) -> None:
        self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status if isinstance(status, Status) else Status(status, description)


Span.register(LateSpan)
current_span: ContextVar[LateSpan | None] = ContextVar("late_span", default=None)

"""Late sampling: a request that is not sampled keeps small records, which become spans if it turns out to be worth it.

Nothing here needs the SDK; see `replay`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass
from random import getrandbits
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from msgspec import Struct, field
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from app.telemetry.failing import fail

if TYPE_CHECKING:
    from app.settings.telemetry import TelemetrySettings

T = TypeVar("T")
Attributes = Mapping[str, AttributeValue]
MAX_SPANS = 200  # that one request may keep
NOT_RECORDING = nullcontext(INVALID_SPAN)


@dataclass(frozen=True, slots=True)
class Worth:
    """What makes an unsampled run worth a trace, beside its failure and its change to another model."""

    slow_seconds: float
    dear_usd: float

    @classmethod
    def of(cls, settings: "TelemetrySettings") -> "Worth | None":
        """None: TRACE_LATE is off."""
        return cls(settings.trace_slow_seconds, settings.trace_dear_usd) if settings.trace_late else None

    def reason(self, run: "LateTrace") -> str | None:
        """Why the run is worth it, or None."""
        if run.failed:
            return "failed"
        if run.fell_back:
            return "fallback"
        if run.cost_usd >= self.dear_usd:
            return "dear"
        return "slow" if (run.end - run.start) / 1e9 >= self.slow_seconds else None


class LateTrace(Struct, eq=False):
    """What one unsampled request has recorded. The verdict falls once it is over, and so are all its spans."""

    trace_id: str
    worth: Worth
    keep: Callable[["LateTrace", str], None]
    """Makes spans of it, and is told why."""
    start: int = field(default_factory=time_ns)
    end: int = 0
    scope: Mapping[str, Any] = {}
    status: int = 0
    spans: list["LateSpan"] = []
    open: int = 0
    """Spans that are going on."""
    left_out: int = 0
    """Spans beyond the maximum."""
    failed: bool = False
    fell_back: bool = False
    cost_usd: float = 0.0
    over: bool = False

    def span(
        self, name: str, attributes: Callable[[T], Attributes], of: T, kind: SpanKind, links: Sequence[Link] = ()
    ) -> AbstractContextManager[Span]:
        """A record of a span under the current one."""
        if self.over or len(self.spans) >= MAX_SPANS:
            self.left_out += 1
            return NOT_RECORDING
        span = LateSpan(self, name, attributes(of), kind, current_span.get(), time_ns(), links)
        self.spans.append(span)
        self.open += 1
        return span  # type: ignore[return-value]

    def tell(self, *, failed: bool, fell_back: bool, cost_usd: float) -> None:
        """What a run of the request has come to."""
        self.failed |= failed
        self.fell_back |= fell_back
        self.cost_usd += cost_usd

    def finish(self, scope: Mapping[str, Any], status: int) -> None:
        """The request is answered; a run that others wait for may go on."""
        self.scope, self.status, self.end = scope, status, time_ns()
        self.failed |= status >= 500
        self.decide()

    def decide(self) -> None:
        """Keep or forget it, unless the request or one of its spans is still going on."""
        if self.over or self.open or not self.end:
            return
        self.over = True
        reason = self.worth.reason(self) if self.spans else None  # without a span there was no run
        if reason is not None:
            self.keep(self, reason)
        self.spans, self.scope = [], {}


class LateSpan(Struct, eq=False):
    """A span that may never be one, with what this service asks of a Span. Use in `with`."""

    trace: LateTrace
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

"""Late sampling: a request that is not sampled keeps small records, which become spans if it turns out to be worth it.

Nothing here needs the SDK; see `replay`.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass
from random import getrandbits
from time import time_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

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


class LateTrace:
    """What one unsampled request has recorded. The verdict falls once it is over, and so are all its spans."""

    __slots__ = (
        "_keep", "_open", "_over", "_worth", "cost_usd", "end", "failed", "fell_back", "left_out", "scope", "spans",
        "start", "status", "trace_id",
    )  # fmt: skip

    def __init__(self, trace_id: str, worth: Worth, keep: Callable[["LateTrace", str], None]) -> None:
        """`keep` makes spans of it, and is told why."""
        self.trace_id = trace_id
        self.spans: list[LateSpan] = []
        self.left_out = 0
        """Spans beyond the maximum."""
        self.start = time_ns()
        self.end = 0
        self.scope: Mapping[str, Any] = {}
        self.status = 0
        self.failed = self.fell_back = False
        self.cost_usd = 0.0
        self._worth, self._keep = worth, keep
        self._open = 0
        self._over = False

    def span(
        self, name: str, attributes: Callable[[T], Attributes], of: T, kind: SpanKind
    ) -> AbstractContextManager[Span]:
        """A record of a span under the current one."""
        if self._over or len(self.spans) >= MAX_SPANS:
            self.left_out += 1
            return NOT_RECORDING
        span = LateSpan(self, name, {**attributes(of)}, kind)
        self.spans.append(span)
        return span

    def tell(self, *, failed: bool = False, fell_back: bool = False, cost_usd: float = 0.0) -> None:
        """What a run of the request has come to."""
        self.failed |= failed
        self.fell_back |= fell_back
        self.cost_usd += cost_usd

    def finish(self, scope: Mapping[str, Any], status: int) -> None:
        """The request is answered; a run that others wait for may go on."""
        self.scope, self.status, self.end = scope, status, time_ns()
        self.failed |= status >= 500
        self._decide()

    def opened(self) -> None:
        self._open += 1

    def closed(self) -> None:
        self._open -= 1
        if self.end:
            self._decide()

    def _decide(self) -> None:
        if self._open or self._over:
            return
        self._over = True
        reason = self._worth.reason(self) if self.spans else None  # without a span there was no run
        if reason is not None:
            self._keep(self, reason)
        self.spans, self.scope = [], {}


class LateSpan(Span):
    """A span that may never be one. Use in `with`."""

    __slots__ = ("_id", "_token", "_trace", "attributes", "end_time", "events", "kind", "links", "name", "parent",
                 "start_time", "status")  # fmt: skip

    def __init__(self, trace: LateTrace, name: str, attributes: dict[str, AttributeValue], kind: SpanKind) -> None:
        self._trace, self.name, self.attributes, self.kind = trace, name, attributes, kind
        self.parent = current_span.get()
        self.start_time = time_ns()
        self.end_time = 0
        self.status: Status | None = None
        self.events: list[tuple[str, Any, int]] | None = None
        self.links: list[Link] | None = None
        self._id = 0

    def __enter__(self) -> Span:
        self._token: Token[LateSpan | None] = current_span.set(self)
        self._trace.opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        current_span.reset(self._token)
        if error is not None:
            fail(self, error)
        self.end()

    @property
    def id(self) -> int:
        """Made when somebody asks."""
        self._id = self._id or getrandbits(64) or 1
        return self._id

    def get_span_context(self) -> SpanContext:
        return SpanContext(int(self._trace.trace_id, 16), self.id, is_remote=False, trace_flags=TraceFlags())

    def is_recording(self) -> bool:
        return not self.end_time

    def end(self, end_time: int | None = None) -> None:
        if not self.end_time:
            self.end_time = end_time or time_ns()
            self._trace.closed()

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self.attributes[key] = value

    def set_attributes(self, attributes: Attributes) -> None:
        self.attributes.update(attributes)

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        if self.events is None:
            self.events = []
        self.events.append((name, attributes, timestamp or time_ns()))

    def add_link(self, context: SpanContext, attributes: Any = None) -> None:
        if self.links is None:
            self.links = []
        self.links.append(Link(context, attributes))

    def update_name(self, name: str) -> None:
        self.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.status = status if isinstance(status, Status) else Status(status, description)

    def record_exception(
        self, exception: BaseException, attributes: Any = None, timestamp: int | None = None, escaped: bool = False
    ) -> None:
        """Only the error's kind; see `fail`."""
        self.add_event("exception", {"exception.type": type(exception).__name__, **(attributes or {})}, timestamp)


current_span: ContextVar[LateSpan | None] = ContextVar("late_span", default=None)

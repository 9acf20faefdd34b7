"""Late sampling: a request that is not sampled keeps small records, which become spans if it turns out to be worth it.

Nothing here needs the SDK; see `replay`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import time_ns
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, field
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind

from app.telemetry.late_spans import Attributes, LateSpan, current_span

if TYPE_CHECKING:
    from app.settings.telemetry import TelemetrySettings

T = TypeVar("T")
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
        return "slow" if ((run.end or time_ns()) - run.start) / 1e9 >= self.slow_seconds else None


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
    spans: list[LateSpan] = []
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

    @property
    def will_be_kept(self) -> bool:
        """Whether that is clear already: what makes a run worth it is never taken back."""
        return bool(self.spans) and self.worth.reason(self) is not None

    def decide(self) -> None:
        """Keep or forget it, unless the request or one of its spans is still going on."""
        if self.over or self.open or not self.end:
            return
        self.over = True
        reason = self.worth.reason(self) if self.spans else None  # without a span there was no run
        if reason is not None:
            self.keep(self, reason)
        self.spans, self.scope = [], {}

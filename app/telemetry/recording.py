"""What one request records of itself: spans that are made once they have ended, or, late, once it was worth it.

Nothing here needs the SDK; see `recorder`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from operator import attrgetter
from time import time_ns
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from opentelemetry.trace import INVALID_SPAN, SpanKind

from app.telemetry.conventions import TRACE_LATE, TRACE_LEFT_OUT
from app.telemetry.recorded_spans import Attributes, RecordedSpan

if TYPE_CHECKING:
    from app.settings.telemetry import TelemetrySettings

MAX_SPANS = 200  # that a request which is not sampled may keep
NOT_RECORDING = nullcontext(INVALID_SPAN)
FIRST_FAILURE = 500


@dataclass(frozen=True, slots=True)
class Worth:
    """What makes an unsampled run worth a trace, beside its failure and its change to another model."""

    slow_seconds: float
    dear_usd: float

    @classmethod
    def of(cls, settings: "TelemetrySettings") -> "Worth | None":
        """None: TRACE_LATE is off."""
        return cls(settings.trace_slow_seconds, settings.trace_dear_usd) if settings.trace_late else None

    def reason(self, run: "Recording") -> str | None:
        """Why the run is worth it, or None."""
        if run.failed:
            return "failed"
        if run.fell_back:
            return "fallback"
        if run.cost_usd >= self.dear_usd:
            return "dear"
        return "slow" if ((run.end or time_ns()) - run.start) / 1e9 >= self.slow_seconds else None


class Exchange(Struct, frozen=True):
    """A request and its answer, which the outermost span is described by."""

    scope: Mapping[str, Any]
    status: int
    """0: nothing was sent."""
    sent: Sequence[tuple[bytes, bytes]]
    """Headers of the answer."""


class Recording:
    """The records of one request. If it is sampled, each is kept as soon as it ends; else the verdict falls once the
    request is over, and so are all its spans."""

    end = 0
    root: RecordedSpan | None = None
    """The request's own span, of one that is not sampled only from the verdict on."""
    exchange: Exchange | None = None
    """From the request's end to the verdict; None: it is other work than a request."""
    open = 0
    """How many spans are going on that wait for the verdict."""
    left_out = 0
    """Spans beyond the maximum."""
    failed = False
    fell_back = False
    cost_usd = 0.0
    over = False

    def __init__(self, trace_id: str, keep: Callable[[RecordedSpan], None], worth: Worth | None = None) -> None:
        """`keep` makes a span of a record that has ended. `worth`: the request is not sampled, and may be kept late."""
        self.trace_id = trace_id
        self.keep = keep
        self.worth = worth
        self.sampled = self.exported = worth is None
        self.spans: list[RecordedSpan] = []
        self.start = time_ns()

    def begin(self) -> None:
        """A request begins that is sampled: it has a span of its own, which is the current one from now on."""
        self.root = root = _root(self)
        root.__enter__()

    def finish(self, exchange: Exchange) -> None:
        """The request is answered; a run that others wait for may go on."""
        self.end = time_ns()
        if (root := self.root) is not None:
            root.of = exchange
            root.__exit__(None, None, None)
            root.of = self.root = None  # what refers to itself is work for the garbage collector
            return
        if exchange.status >= FIRST_FAILURE:
            self.failed = True
        self.exchange = exchange
        self.decide()

    def close(self) -> None:
        """Work is over that a request has left to this process, which has no span of its own here."""
        self.end = time_ns()
        self.decide()

    def tell(self, *, failed: bool, fell_back: bool, cost_usd: float) -> None:
        """What a run of the request has come to."""
        self.failed |= failed
        self.fell_back |= fell_back
        self.cost_usd += cost_usd

    @property
    def will_be_exported(self) -> bool:
        """Whether that is clear already: what makes a run worth it is never taken back."""
        if self.worth is None or self.over:
            return self.exported
        return bool(self.spans) and self.worth.reason(self) is not None

    def decide(self) -> None:
        """Keep or forget it, unless one of its spans is still going on."""
        if self.open or self.over or self.worth is None:
            return
        reason = self.worth.reason(self) if self.spans else None  # without a span there was no run
        self.over = True
        if reason is not None:
            self._keep_all(self.exchange, reason)
        self.spans, self.exchange = [], None

    def _keep_all(self, exchange: Exchange | None, reason: str) -> None:
        self.exported = True
        spans, outermost = sorted(self.spans, key=attrgetter("end_time")), self.spans[0]
        if exchange is not None:
            self.root = outermost = _root(self)
            outermost.of, outermost.start_time, outermost.end_time = exchange, self.start, self.end
            spans.append(outermost)  # the last one, also where a run has outlived its request
        outermost.set_attribute(TRACE_LATE, reason)
        if self.left_out:
            outermost.set_attribute(TRACE_LEFT_OUT, self.left_out)
        for span in spans:
            self.keep(span)
        self.root = None


def _root(recording: Recording) -> RecordedSpan:
    return RecordedSpan(recording, "", SpanKind.SERVER, _nothing, None)


def _nothing(_: object) -> Attributes:
    return {}

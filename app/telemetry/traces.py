"""OpenTelemetry traces over OTLP, off unless an endpoint is set.

Whether a request is sampled is decided once, from a trace id made here. One that is sampled, or may be kept late, has a
recording, in which spans are light records; the SDK's spans are made of them at their ends, by `recorder`. Any other
request has no more than its trace id, for its answer and its log lines.

The SDK and the exporter are imported only when tracing is on.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from random import getrandbits
from typing import TYPE_CHECKING, TypeVar

from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.settings import Settings
from app.telemetry.context import current
from app.telemetry.late_spans import LateSpan
from app.telemetry.logs import log
from app.telemetry.otlp import check_environment, endpoint_is_set, hide_secret_headers
from app.telemetry.propagation import NOBODY, Propagation, hosts_of
from app.telemetry.recorded_spans import Attributes, RecordedSpan
from app.telemetry.recording import MAX_SPANS, NOT_RECORDING, Recording, Worth

if TYPE_CHECKING:
    from app.telemetry.exporting import CountedProcessor
    from app.telemetry.sampling import Samples

T = TypeVar("T")
_FLUSH_SECONDS = 1.0
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """The process's tracing. `Tracing()` is off: it hands out trace ids and samples nothing."""

    def __init__(
        self,
        keep: Callable[[RecordedSpan], None] | None = None,
        propagation: Propagation = NOBODY,
        *,
        samples: "Samples | None" = None,
        worth: Worth | None = None,
        processor: "CountedProcessor | None" = None,
        content: bool = False,
    ) -> None:
        """`keep` makes a span of a record that has ended. `propagation` says which servers are told of requests,
        `worth` which requests are kept that were not sampled; `content`: spans have what is said, too."""
        self.propagation = propagation
        self.content = content
        self._keep = keep
        self._samples = samples
        self._worth = worth
        self._processor = processor

    @property
    def on(self) -> bool:
        """Whether anything is traced."""
        return self._keep is not None

    def decide(self, traceparent: str | None) -> tuple[str, bool]:
        """The trace id of a request, and whether it is sampled. `traceparent` is the request's W3C header, if whoever
        sent it is to be believed."""
        remote = _propagator.extract({"traceparent": traceparent}) if traceparent else None
        parent = trace.get_current_span(remote).get_span_context() if remote is not None else None
        known = parent is not None and parent.is_valid
        trace_id = parent.trace_id if parent is not None and known else getrandbits(128) or 1
        sampled = self._samples is not None and self._samples(remote if known else None, trace_id)
        return f"{trace_id:032x}", sampled

    def begin(self, trace_id: str, *, sampled: bool) -> Recording | None:
        """The recording of a request; None if nothing of it is recorded."""
        if self._keep is None:
            return None
        if sampled:
            recording = Recording(trace_id, self._keep)
            recording.begin()
            return recording
        return None if self._worth is None else Recording(trace_id, self._keep, self._worth)

    @contextmanager
    def joined(self, traceparent: str) -> Iterator[tuple[str, Recording | None]]:
        """The trace id and the recording of work that a request has left, whose spans are below the one that
        `traceparent` names: it has no outermost span of its own."""
        if self._keep is None and traceparent:  # as `propagation.traceparent` has made it
            yield traceparent[3:35], None
            return
        trace_id, sampled = self.decide(traceparent or None)
        recording = None
        if self._keep is not None and (sampled or self._worth is not None):
            recording = Recording(trace_id, self._keep, None if sampled else self._worth)
        try:
            with below(traceparent):
                yield trace_id, recording
        finally:
            if recording is not None:
                recording.close()

    def span(
        self,
        name: str,
        attributes: Callable[[T], Attributes],
        of: T,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> AbstractContextManager[Span]:
        """A span under the current one, in the request's recording; it records nothing if there is none. It has the
        `attributes` of `of`, which are asked for once it is exported: `of` must not change. The only way to open one.
        """
        recording = current.get().recording
        if recording is None or recording.over:
            return NOT_RECORDING
        if recording.sampled:
            return RecordedSpan(recording, name, kind, attributes, of, links)  # type: ignore[return-value]
        if len(recording.spans) >= MAX_SPANS:
            recording.left_out += 1
            return NOT_RECORDING
        return LateSpan(recording, name, kind, attributes, of, links)  # type: ignore[return-value]

    async def aclose(self) -> None:
        """Export what is left, for at most a few seconds: a collector that is away must not hold the process."""
        if self._processor is not None:
            account = await asyncio.to_thread(self._processor.finish, _FLUSH_SECONDS)
            log.info("traces.end", made=account.made, exported=account.exported, **account.dropped)


def caller_of(headers: Iterable[tuple[bytes, bytes]]) -> SpanContext | None:
    """The span that a request's `traceparent` names; None without one that can be read."""
    given = next((value for name, value in headers if name == b"traceparent"), None)
    if given is None:
        return None
    caller = trace.get_current_span(_propagator.extract({"traceparent": given.decode("latin-1")})).get_span_context()
    return caller if caller.is_valid else None


def link_to(traceparent: str) -> Sequence[Link]:
    """The link of a span to the one that is named so; none without a name."""
    caller = caller_of([(b"traceparent", traceparent.encode())]) if traceparent else None
    return () if caller is None else (Link(caller),)


@contextmanager
def below(traceparent: str) -> Iterator[None]:
    """Have spans be below the one of another process that is named so."""
    token = context.attach(_propagator.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


def configure(settings: Settings) -> Tracing:
    """Tracing as the settings and OpenTelemetry's own environment variables (`OTEL_*`) have it. Raises
    ConfigurationError."""
    propagation = Propagation(hosts_of(settings))
    if not endpoint_is_set():
        return Tracing(None, propagation)
    check_environment()
    hide_secret_headers()
    from app.telemetry.provider import build

    keep, samples, processor = build(settings.trace_dialects)
    return Tracing(
        keep,
        propagation,
        samples=samples,
        worth=Worth.of(settings),
        processor=processor,
        content=settings.trace_content,
    )

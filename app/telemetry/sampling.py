"""Whether a request that begins a trace is sampled. Loaded only when tracing is on."""

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import SpanKind

Samples = Callable[[Context | None, int], bool]
"""By a context with the caller's span, if there is one, and the trace id."""


def samples_of(sampler: Sampler) -> Samples:
    """The sampler's decision. A ratio of requests without a caller, as most are, is taken here: the SDK's own way there
    is a dozen calls for each request, sampled or not."""
    root = sampler._root if isinstance(sampler, ParentBased) else sampler  # noqa: SLF001 - else it cannot be known
    bound = root.bound if isinstance(root, TraceIdRatioBased) else None

    def samples(parent: Context | None, trace_id: int) -> bool:
        if parent is None and bound is not None:
            return trace_id & TraceIdRatioBased.TRACE_ID_LIMIT < bound
        decision = sampler.should_sample(parent, trace_id, "request", SpanKind.SERVER).decision
        return bool(decision.is_sampled())  # type: ignore[no-untyped-call]

    return samples

"""A request is sampled as the SDK's sampler has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased

from app.telemetry.sampling import samples_of

SAMPLERS = [ALWAYS_ON, ALWAYS_OFF, TraceIdRatioBased(0.3), ParentBased(TraceIdRatioBased(0.3)), ParentBased(ALWAYS_ON)]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.get_description())
@given(trace_id=st.integers(1, 2**128 - 1), caller=st.sampled_from([None, 0, 1]))
def test_the_decision_is_the_samplers(sampler: Sampler, trace_id: int, caller: int | None) -> None:
    parent = None
    if caller is not None:
        span = trace.SpanContext(trace_id, 1, is_remote=True, trace_flags=trace.TraceFlags(caller))
        parent = trace.set_span_in_context(trace.NonRecordingSpan(span))
    expected = sampler.should_sample(parent, trace_id, "request")
    assert samples_of(sampler)(parent, trace_id) == expected.decision.is_sampled()  # type: ignore[no-untyped-call]

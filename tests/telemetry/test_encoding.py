"""Spans are encoded as the exporters' own encoder would."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as encode_by_the_exporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from app.telemetry.encoding import encode_spans

SIMPLE = st.one_of(st.text(max_size=80), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
VALUES = st.one_of(SIMPLE, st.lists(SIMPLE, max_size=3).map(tuple))
ATTRIBUTES = st.dictionaries(st.sampled_from(["gen_ai.operation.name", "agent.attempts", "x"]), VALUES)
RESOURCE = Resource({"service.name": "test"})


def context(number: int, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(2**127 + 1, number, is_remote, TraceFlags(1))


@st.composite
def spans(draw: st.DrawFn) -> ReadableSpan:
    return ReadableSpan(
        name=draw(st.text(max_size=5)),
        context=context(draw(st.integers(1, 2**64 - 1))),
        parent=draw(st.sampled_from([None, context(7), context(8, is_remote=True)])),
        resource=RESOURCE,
        attributes=draw(ATTRIBUTES),
        events=[Event("happened", attributes, 5) for attributes in draw(st.lists(ATTRIBUTES, max_size=2))],
        links=draw(st.sampled_from([(), (Link(context(9), {"why": "so"}),)])),
        kind=draw(st.sampled_from([SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT])),
        status=draw(st.sampled_from([Status(), Status(StatusCode.ERROR, "model-unavailable")])),
        start_time=1,
        end_time=2,
        instrumentation_scope=InstrumentationScope("agent-api", "1"),
    )


def shown(request: Any) -> Any:
    """The request with attributes in the order of their names: they have no other."""
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.attributes.sort(key=lambda attribute: attribute.key)
    return request


@given(made=st.lists(spans(), min_size=1, max_size=4))
def test_spans_are_encoded_as_the_exporter_would(made: list[ReadableSpan]) -> None:
    assert shown(encode_spans(made)) == shown(encode_by_the_exporter(made))


EQUAL = (True, 1, 1.0, "1", (1,), (True,), 0, 0.0, -0.0, False)


@pytest.mark.parametrize("value", EQUAL)
def test_values_that_are_equal_keep_their_types(value: Any) -> None:
    def one(attributes: Mapping[str, Any]) -> ReadableSpan:
        return ReadableSpan("x", context(1), resource=RESOURCE, attributes=attributes, start_time=1, end_time=2)

    for each in EQUAL:
        encode_spans([one({"same": each})])
    made = [one({"same": value})]
    assert shown(encode_spans(made)) == shown(encode_by_the_exporter(made))


def test_a_value_that_cannot_be_encoded_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    attributes: Any = {"good": 1, "bad": (object(),)}
    made = ReadableSpan("x", context(1), resource=RESOURCE, attributes=attributes, start_time=1, end_time=2)
    [span] = encode_spans([made]).resource_spans[0].scope_spans[0].spans
    assert [attribute.key for attribute in span.attributes] == ["good"]
    assert "bad" in caplog.text

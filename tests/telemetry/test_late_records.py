"""Records of an unsampled request: what is kept, when the verdict falls, what spans are made of it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry.context import RequestContext, current
from app.telemetry.late import MAX_SPANS, LateTrace, Worth
from app.telemetry.replay import Replay
from app.telemetry.traces import Tracing

TRACE_ID = "0123456789abcdef0123456789abcdef"
SCOPE: dict[str, Any] = {
    "type": "http",
    "method": "POST",
    "path": "/chat",
    "scheme": "http",
    "headers": [],
    "server": ("127.0.0.1", 80),
}
WORTH = Worth(slow_seconds=60, dear_usd=1)
Tree = list[Any]  # of such trees
TREES: st.SearchStrategy[Tree] = st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=4), max_leaves=12)


class Stage:
    """One request at a time, and what came of it."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        keep = Replay(Resource({"service.name": "test"}), SimpleSpanProcessor(self._exporter))
        self.late = LateTrace(TRACE_ID, WORTH, keep)
        self.tracing = Tracing(TracerProvider(shutdown_on_exit=False))

    def span(self, name: str) -> Any:
        return self.tracing.span(name, lambda of: {"of": of}, name)

    def kept(self) -> Sequence[Any]:
        return self._exporter.get_finished_spans()


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    token = current.set(RequestContext("request", TRACE_ID, sampled=False, late=stage.late))
    yield stage
    current.reset(token)


def _record(stage: Stage, tree: Tree, path: str = "0") -> None:
    with stage.span(path):
        for number, inner in enumerate(tree):
            _record(stage, inner, f"{path}.{number}")


@given(tree=TREES)
def test_spans_have_the_parents_they_were_recorded_in(tree: Tree) -> None:
    stage = Stage()
    token = current.set(RequestContext("request", TRACE_ID, sampled=False, late=stage.late))
    _record(stage, tree)
    current.reset(token)
    stage.late.finish(SCOPE, 500)
    spans = {span.name: span for span in stage.kept()}
    root = spans.pop("POST")
    assert root.parent is None
    names = {span.context.span_id: name for name, span in spans.items()}
    for name, span in spans.items():
        assert span.context.trace_id == int(TRACE_ID, 16)
        assert span.context.trace_flags.sampled
        assert span.attributes == {"of": name}
        assert names.get(span.parent.span_id, "") == name.rpartition(".")[0]
        assert root.start_time <= span.start_time <= span.end_time <= root.end_time
    ended = [span.end_time for span in stage.kept()]
    assert ended == sorted(ended)


def test_what_was_not_worth_it_is_forgotten(stage: Stage) -> None:
    _record(stage, [[], []])
    stage.late.tell(failed=False, fell_back=False, cost_usd=0.99)
    stage.late.finish(SCOPE, 200)
    assert not stage.kept()
    assert not stage.late.spans


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"failed": True, "fell_back": True, "cost_usd": 2.0}, "failed"),
        ({"failed": False, "fell_back": True, "cost_usd": 2.0}, "fallback"),
        ({"failed": False, "fell_back": False, "cost_usd": 1.0}, "dear"),
    ],
)
def test_the_trace_says_why_it_is_there(stage: Stage, told: dict[str, Any], reason: str) -> None:
    _record(stage, [])
    stage.late.tell(**told)
    stage.late.finish(SCOPE, 200)
    assert stage.kept()[-1].attributes["agent.trace.late"] == reason


def test_a_long_run_keeps_its_first_spans_and_says_how_many_are_missing(stage: Stage) -> None:
    with stage.span("run"):
        for number in range(MAX_SPANS + 20):
            with stage.span(f"iteration {number}"):
                pass
    stage.late.finish(SCOPE, 503)
    spans = stage.kept()
    assert len(spans) == MAX_SPANS + 1
    assert spans[-1].attributes["agent.trace.left_out"] == 21


def test_the_verdict_waits_for_a_run_that_outlives_its_request(stage: Stage) -> None:
    with stage.span("run"):
        stage.late.finish(SCOPE, 200)
        assert not stage.kept()
        stage.late.tell(failed=True, fell_back=False, cost_usd=0)
    assert [span.name for span in stage.kept()] == ["run", "POST"]
    with stage.span("afterwards") as span:
        assert not span.is_recording()


def test_a_record_takes_what_a_span_takes(stage: Stage) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(stage.span("first"))
        first.set_attribute("one", 1)
        first.set_attributes({"two": [2, 3]})
        first.add_event("happened", {"at": "once"})
        context = first.get_span_context()
        second = stack.enter_context(stage.span("second"))
        second.add_link(context)
        stack.enter_context(pytest.raises(ValueError, match="words of a user"))
        with stage.span("third"):
            raise ValueError("words of a user")
    stage.late.finish(SCOPE, 500)
    by_name = {span.name: span for span in stage.kept()}
    assert by_name["first"].attributes == {"of": "first", "one": 1, "two": (2, 3)}
    assert [(event.name, event.attributes) for event in by_name["first"].events] == [("happened", {"at": "once"})]
    assert by_name["second"].links[0].context.span_id == by_name["first"].context.span_id == context.span_id
    assert by_name["third"].status.description == "ValueError"
    assert not any("words of a user" in str(span.to_json()) for span in stage.kept())

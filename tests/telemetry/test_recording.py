"""Records of a request: what is kept, when the verdict falls, what spans are made of them."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry.context import RequestContext, current
from app.telemetry.recording import MAX_SPANS, Exchange, Recording, Worth
from app.telemetry.traces import Tracing
from tests.telemetry.recorded import recorder_to

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
    """One request, for `with`, and what came of it."""

    def __init__(self, worth: Worth | None = WORTH) -> None:
        self._exporter = InMemorySpanExporter()
        self._worth = worth
        self._tracing = Tracing()

    def __enter__(self) -> "Stage":
        self.recording = Recording(TRACE_ID, recorder_to(self._exporter), self._worth)
        if self._worth is None:
            self.recording.begin()
        self._token = current.set(RequestContext("request", TRACE_ID, self.recording))
        return self

    def __exit__(self, *_: object) -> None:
        if not self.recording.end:
            self.finish(200)
        current.reset(self._token)

    def span(self, name: str) -> Any:
        return self._tracing.span(name, lambda of: {"of": of}, name)

    def finish(self, status: int, **scope: Any) -> None:
        self.recording.finish(Exchange({**SCOPE, **scope}, status, ()))

    def kept(self) -> Sequence[Any]:
        return self._exporter.get_finished_spans()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


def _record(stage: Stage, tree: Tree, path: str = "0") -> None:
    with stage.span(path):
        for number, inner in enumerate(tree):
            _record(stage, inner, f"{path}.{number}")


@pytest.mark.parametrize("worth", [None, WORTH], ids=["sampled", "late"])
@given(tree=TREES)
def test_spans_have_the_parents_they_were_recorded_in(worth: Worth | None, tree: Tree) -> None:
    with Stage(worth) as stage:
        _record(stage, tree)
        stage.finish(500)
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
    stage.recording.tell(failed=False, fell_back=False, cost_usd=0.99)
    stage.finish(200)
    assert not stage.kept()
    assert not stage.recording.spans


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
    stage.recording.tell(**told)
    stage.finish(200)
    assert stage.kept()[-1].attributes["agent.trace.late"] == reason


def test_a_long_run_keeps_its_first_spans_and_says_how_many_are_missing(stage: Stage) -> None:
    with stage.span("run"):
        for number in range(MAX_SPANS + 20):
            with stage.span(f"iteration {number}"):
                pass
    stage.finish(503)
    spans = stage.kept()
    assert len(spans) == MAX_SPANS + 1
    assert spans[-1].attributes["agent.trace.left_out"] == 21


def test_the_verdict_waits_for_a_run_that_outlives_its_request(stage: Stage) -> None:
    with stage.span("run"):
        stage.finish(200)
        assert not stage.kept()
        stage.recording.tell(failed=True, fell_back=False, cost_usd=0)
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
    stage.finish(500)
    by_name = {span.name: span for span in stage.kept()}
    assert by_name["first"].attributes == {"of": "first", "one": 1, "two": (2, 3)}
    assert [(event.name, event.attributes) for event in by_name["first"].events] == [("happened", {"at": "once"})]
    assert by_name["second"].links[0].context.span_id == by_name["first"].context.span_id == context.span_id
    assert by_name["third"].status.description == "ValueError"
    assert not any("words of a user" in str(span.to_json()) for span in stage.kept())


def test_a_sampled_span_is_exported_as_soon_as_it_has_ended() -> None:
    with Stage(None) as stage:
        with stage.span("first"):
            pass
        assert [span.name for span in stage.kept()] == ["first"]
        stage.finish(200)
    root = stage.kept()[-1]
    assert "agent.trace.late" not in root.attributes
    assert root.attributes["http.response.status_code"] == 200


def test_libraries_see_the_span_of_a_sampled_request() -> None:
    with Stage(None) as stage:
        root = trace.get_current_span()
        with stage.span("tool") as span:
            assert trace.get_current_span() is span
            trace.get_current_span().record_exception(ValueError("why"), {"more": 1})
            span.end()
            assert span.is_recording()
            span.update_name("tool of a library")
        assert trace.get_current_span() is root
        assert not span.is_recording()
        stage.finish(200)
    assert not trace.get_current_span().get_span_context().is_valid
    tool, request = stage.kept()
    assert (tool.name, tool.parent) == ("tool of a library", request.context)
    [event] = tool.events
    assert event.attributes["exception.type"] == "ValueError"
    assert event.attributes["exception.message"] == "why"
    assert event.attributes["more"] == 1


def test_a_span_in_a_trace_of_somebody_elses_stays_in_its_own() -> None:
    foreign = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    with Stage(None) as stage:
        with trace.use_span(foreign), stage.span("tool"):
            pass
        stage.finish(200)
    tool, request = stage.kept()
    assert (tool.parent, tool.context.trace_id) == (request.context, int(TRACE_ID, 16))


def test_the_limits_of_spans_are_those_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "2"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "1"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4"),
    ):
        monkeypatch.setenv(name, value)
    with Stage(None) as stage, stage.span("long name") as span:
        span.set_attributes({"one": 1, "two": [object(), "longer"]})
        span.add_event("first")
        span.add_event("second", {"words": "many words"})
    made, _ = stage.kept()
    assert made.attributes["one"] == 1
    assert made.attributes["two"][1] == "long"
    assert (made.dropped_attributes, made.dropped_events) == (1, 1)
    assert [(event.name, dict(event.attributes)) for event in made.events] == [("second", {"words": "many"})]


@pytest.mark.parametrize(("method", "name"), [("BREW", "HTTP"), ("GET", "GET")])
def test_a_method_that_somebody_made_up_names_no_span(method: str, name: str) -> None:
    with Stage(None) as stage:
        stage.finish(404, method=method)
    assert stage.kept()[0].name == name


def test_headers_are_captured_where_the_environment_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_"
    monkeypatch.setenv(f"{prefix}SERVER_REQUEST", "x-.*")
    monkeypatch.setenv(f"{prefix}SERVER_RESPONSE", "content-type")
    monkeypatch.setenv(f"{prefix}SANITIZE_FIELDS", "key")
    with Stage(None) as stage:
        scope = {**SCOPE, "headers": [(b"x-team", b"blue"), (b"x-key", b"swordfish"), (b"accept", b"*/*")]}
        stage.recording.finish(Exchange(scope, 200, [(b"content-type", b"text/plain"), (b"x-more", b"1")]))
    captured = {name: value for name, value in stage.kept()[0].attributes.items() if ".header." in name}
    assert captured == {
        "http.request.header.x_team": ("blue",),
        "http.request.header.x_key": ("[REDACTED]",),
        "http.response.header.content_type": ("text/plain",),
    }


@pytest.mark.parametrize("header", [b"user-agent", b"host", b"x-odd"])
def test_a_header_that_cannot_be_read_spoils_no_span(monkeypatch: pytest.MonkeyPatch, header: bytes) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST", ".*")
    with Stage(None) as stage:
        stage.finish(200, headers=[(header, b"\xff\\")])
    [root] = stage.kept()
    assert (root.name, root.attributes["url.path"]) == ("POST", "/chat")
    assert root.attributes["http.response.status_code"] == 200


def test_work_that_a_request_has_left_is_kept_late_below_no_span_once_it_is_worth_it(stage: Stage) -> None:
    recording = stage.recording
    with stage.span("run"), stage.span("call"):
        recording.tell(failed=True, fell_back=False, cost_usd=0)
    recording.close()
    call, run = stage.kept()
    assert (call.name, run.name) == ("call", "run")
    assert run.parent is None
    assert call.parent == run.context
    assert run.attributes["agent.trace.late"] == "failed"
    recording.close()
    assert len(stage.kept()) == 2


def test_work_that_a_request_has_left_is_forgotten_when_it_is_worth_nothing(stage: Stage) -> None:
    with stage.span("run"):
        stage.recording.close()  # the verdict waits for the span
        assert not stage.recording.over
    assert stage.recording.over
    assert not stage.kept()

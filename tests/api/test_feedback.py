"""`/feedback`: a run's user marks its answer; an agent hands over to a person."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.redis_server import RedisServer
from tests.service import Service, problem_of
from tests.telemetry.collector import Collector
from tests.upstream import MODEL, Upstream, asks, says, says_whole

AGENT = """
prompt: Help. If you cannot, hand over.
tools: [hand_over_to_human, clock]
"""
HAND_OVER = ("hand_over_to_human", {"reason": "The-reason-given", "summary": "The-summary-given"})


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream, collector: Collector) -> Iterator[Service]:
    """Its agent `desk` can hand over; every request is traced."""
    folder = tmp_path_factory.mktemp("agents")
    (folder / "desk.yaml").write_text(AGENT)
    service = Service(
        tmp_path_factory.mktemp("marked"),
        models=f"demo,{MODEL}",
        agents_dir=folder,
        openai_base_url=f"{_upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        refused_per_minute="off",
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=100,
        trace_content=True,
    )
    yield service
    service.end()


def run(service: Service, **fields: Any) -> str:
    """The id of a run that is over."""
    run_id: str = service.chat("hi", **fields).json()["run_id"]
    return run_id


def mark(service: Service, run_id: str, **marks: Any) -> dict[str, Any]:
    response = service.ask("POST", "/feedback", {"run_id": run_id, **marks})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def counted(service: Service, name: str, **labels: str) -> float:
    wanted = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return service.metrics().get(f"{name}{{{wanted}}}", 0.0)


def test_a_mark_is_kept_and_takes_the_place_of_an_earlier_one(service: Service) -> None:
    run_id = run(service)
    nothing = {"run_id": run_id, "completed": None, "escalated": None, "score": None, "comment": None}
    assert mark(service, run_id, completed=True) == nothing | {"completed": True}
    assert mark(service, run_id, score=0.5, comment="Fine.") == nothing | {
        "completed": True,
        "score": 0.5,
        "comment": "Fine.",
    }
    assert mark(service, run_id, completed=False, comment="") == nothing | {
        "completed": False,
        "score": 0.5,
        "comment": "",
    }


def test_a_run_counts_once_however_often_it_is_marked(service: Service) -> None:
    run_id = run(service)

    def counts() -> list[float]:
        return [
            counted(service, "agent_feedback_total", agent="default", completed="true"),
            counted(service, "agent_feedback_score_count", agent="default"),
            counted(service, "agent_escalations_total", agent="default", source="feedback"),
        ]

    before = counts()
    for value in (True, False, True):
        mark(service, run_id, completed=value, score=float(value), escalated=value)
    assert counts() == [count + 1 for count in before]
    assert len(service.log("feedback", run_id=run_id)) == 3
    assert [line["source"] for line in service.log("escalation", run_id=run_id)] == ["feedback"]


def test_runs_of_others_and_unknown_ones_are_alike_not_there(service: Service) -> None:
    run_id = run(service, user_id="ada")
    assert mark(service, run_id, user_id="ada", completed=True)["completed"] is True
    told = []
    for asked, user in ((run_id, "bob"), (run_id, None), ("run-that-is-not", "ada")):
        body = {"run_id": asked, "completed": True, **({"user_id": user} if user else {})}
        problem = problem_of(service.ask("POST", "/feedback", body), 404, "not-found")
        told.append(problem["detail"].replace(asked, "ID"))
    assert len(set(told)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"run_id": "a"},
        {"run_id": "a", "comment": None},
        {"run_id": "a/b", "completed": True},
        {"run_id": "a", "completed": 1},
        {"run_id": "a", "completed": "yes"},
        {"run_id": "a", "score": 1.1},
        {"run_id": "a", "score": -0.1},
        {"run_id": "a", "score": "1"},
        {"run_id": "a", "comment": "x" * 2001},
        {"run_id": "a", "completed": True, "more": 1},
        [],
    ],
)
def test_what_marks_nothing_is_refused(service: Service, body: Any) -> None:
    problem_of(service.ask("POST", "/feedback", body), 422, "invalid-request")


def test_a_run_that_failed_can_be_marked(service: Service, upstream: Upstream) -> None:
    service.may_log_errors = True
    upstream.will(asks(("clock", {})), says_whole("noon"))
    response = service.ask("POST", "/chat", {"message": "x", "model": MODEL, "agent": "desk"}, x_request_id="marked-1")
    assert response.status_code == 200
    upstream.reset(says_whole("").with_pieces([b"nothing"]))
    service.ask("POST", "/chat", {"message": "x", "model": MODEL, "user_id": "eve"}, x_request_id="marked-2")
    failed = service.wait_for_event("agent.request.failed", request_id="marked-2")
    assert mark(service, failed["run_id"], user_id="eve", completed=False)["completed"] is False


def test_a_run_whose_client_left_can_be_marked(service: Service, upstream: Upstream) -> None:
    begun = says("a", "b")
    upstream.reset(begun.with_pieces(begun.pieces[:2]).ending_with("silent"))
    body = {"message": "left", "model": MODEL}
    with service.client.stream("POST", "/chat/stream", json=body, headers={"X-Request-Id": "left-1"}) as stream:
        started = next(line for line in stream.iter_lines() if line.startswith("data: "))
    service.wait_for_event("request", request_id="left-1", outcome="client_gone")
    run_id = json.loads(started.removeprefix("data: "))["run_id"]
    assert mark(service, run_id, completed=False)["completed"] is False


def test_an_agent_hands_over_and_the_run_counts_as_escalated_once(
    service: Service, upstream: Upstream, collector: Collector
) -> None:
    upstream.will(asks(HAND_OVER, HAND_OVER), says_whole("A person will call you."))
    before = counted(service, "agent_escalations_total", agent="desk", source="tool")
    response = service.chat("help", model=MODEL, agent="desk")
    run_id = response.json()["run_id"]
    assert response.json()["escalated"] is True
    told = upstream.calls[1].body["messages"][-1]
    assert "person has been asked" in told["content"]
    assert counted(service, "agent_escalations_total", agent="desk", source="tool") == before + 1
    [line] = service.log("escalation", run_id=run_id)
    assert (line["agent"], line["source"]) == ("desk", "tool")
    assert mark(service, run_id, completed=True)["escalated"] is True
    mark(service, run_id, escalated=True)
    assert len(service.log("escalation", run_id=run_id)) == 1
    spans = collector.wait_for(response.headers["x-trace-id"], "POST /chat")
    [run_span] = [span for span in spans if span.name.startswith("invoke_agent")]
    [event] = [about for name, about in run_span.events if name == "gen_ai.evaluation.result"]
    assert event["gen_ai.evaluation.name"] == "human_escalation"
    assert event["gen_ai.evaluation.score.label"] == "escalated"
    assert "The-reason-given" not in service.raw_log()
    assert "The-summary-given" not in service.raw_log()


def test_only_an_agent_that_lists_it_can_hand_over(service: Service, upstream: Upstream) -> None:
    upstream.will(says_whole("hello"))
    service.chat("help", model=MODEL)
    assert "hand_over_to_human" not in str(upstream.calls[0].body)


def test_handing_over_by_hand_escalates_nothing(service: Service) -> None:
    before = len(service.log("escalation"))
    answer = service.ask("POST", "/api/tools/hand_over_to_human", HAND_OVER[1]).json()
    assert answer["success"] is True
    assert len(service.log("escalation")) == before


def test_marks_are_events_of_a_span_with_a_link_to_the_run(service: Service, collector: Collector) -> None:
    answered = service.chat("hi")
    body = {
        "run_id": answered.json()["run_id"],
        "completed": False,
        "score": 0.25,
        "comment": "Wrong sk-secret-12345678",
    }
    response = service.ask("POST", "/feedback", body)
    spans = collector.wait_for(response.headers["x-trace-id"], "POST /feedback")
    [span] = [span for span in spans if span.name == "feedback"]
    runs = collector.wait_for(answered.headers["x-trace-id"], "POST /chat")
    [invoked] = [each for each in runs if each.name.startswith("invoke_agent")]
    assert span.links == [(invoked.trace_id, invoked.id)]
    completion, score = span.events
    assert (completion[0], score[0]) == ("gen_ai.evaluation.result",) * 2
    assert completion[1] == {
        "gen_ai.evaluation.name": "task_completion",
        "gen_ai.evaluation.score.value": 0.0,
        "gen_ai.evaluation.score.label": "not_completed",
        "gen_ai.evaluation.explanation": "Wrong …",
        "gen_ai.response.id": body["run_id"],
    }
    assert score[1]["gen_ai.evaluation.score.value"] == 0.25
    assert "Wrong" not in service.raw_log()


def test_feedback_can_be_off(serve: Serve) -> None:
    service = serve(feedback_days=0)
    problem = problem_of(
        service.ask("POST", "/feedback", {"run_id": run(service), "completed": True}), 404, "not-found"
    )
    assert "FEEDBACK_DAYS" in problem["detail"]


def test_feedback_is_limited_as_other_requests(serve: Serve) -> None:
    service = serve(limits='{"tiers": {"default": {"feedback": {"per_minute": 1}}}}')
    run_id = run(service)
    mark(service, run_id, completed=True)
    problem_of(service.ask("POST", "/feedback", {"run_id": run_id, "completed": True}), 429, "rate-limited")
    assert service.chat("hi").status_code == 200


def test_any_process_takes_the_feedback_and_the_comment_is_logged_where_it_may(
    serve: Serve, redis_server: RedisServer
) -> None:
    first = serve(redis_url=redis_server.url)
    second = serve(redis_url=redis_server.url, log_content="true")
    run_id = run(first)
    assert mark(second, run_id, comment="Well done, sk-secret-12345678.")["comment"].startswith("Well done")
    line = second.wait_for_event("feedback", run_id=run_id)
    assert line["comment"] == "Well done, …"
    left = int(redis_server.ask(f"TTL run:{{anonymous:anonymous}}:{run_id}").strip(b":\r\n"))
    assert 6 * 86_400 < left <= 7 * 86_400

"""What model servers really sent, replayed through the running service on each of its routes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.api.events import Event, parse_all
from tests.models.servers import Reply
from tests.service import Service
from tests.upstream import Upstream

CASES = [
    json.loads(line)
    for line in (Path(__file__).parent.parent / "models/cases/providers.jsonl").read_bytes().splitlines()
]
MODELS = [f"{case['api']}/m{number}" for number, case in enumerate(CASES)]
"""One for each case: what a service learns of a model is none of the others' business."""

ROUTES = ["/chat", "/chat/stream", "/agent/run"]


@pytest.fixture(scope="module")
def service(_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(
        tmp_path_factory.mktemp("cases"),
        models=",".join(MODELS),
        openai_base_url=f"{_upstream.url}/v1",
        anthropic_base_url=_upstream.url,
        anthropic_api_key="sk-ant-of-the-service",
        unknown_price="allow",
        anonymous_per_minute="off",
        refused_per_minute="off",
    )
    running.may_log_errors = True  # what only an operator can mend
    yield running
    running.end()


@dataclass(frozen=True)
class Seen:
    """What a caller saw: the answer, or the problem with its status."""

    status: int
    body: dict[str, Any]
    events: list[Event]

    @property
    def tokens(self) -> str:
        return "".join(event.data["text"] for event in self.events if event.name == "token")


def ask(service: Service, upstream: Upstream, route: str, model: str, replies: list[Reply]) -> Seen:
    upstream.reset(*replies)
    field = "query" if route == "/agent/run" else "message"
    response = service.ask("POST", route, {field: "hello", "model": model})
    if response.headers["content-type"].startswith("text/event-stream"):
        events = parse_all(response.text)
        last = events[-1]
        return Seen(200 if last.name == "run.finished" else last.data["status"], last.data, events)
    return Seen(response.status_code, response.json(), [])


def check(right: str, seen: Seen, upstream: Upstream, route: str) -> None:
    answer, finish = seen.body.get("answer"), seen.body.get("finish_reason")
    match right:
        case "a failure":
            assert seen.status == 503
            assert seen.body["type"] == "urn:agent-api:problem:model-unavailable"
            return
        case "a 429":
            assert seen.status == 429
            return
        case "422 context-too-long":
            assert seen.status == 422
            assert seen.body["type"] == "urn:agent-api:problem:context-too-long"
            return
        case "503, told to the operator, no Retry-After":
            assert seen.status == 503
            return
        case "a 4xx":
            assert 400 <= seen.status < 500
            return
    assert seen.status == 200, seen
    if route == "/chat/stream":
        assert seen.tokens.endswith(answer or "")
    usage = (seen.body["usage"]["input_tokens"], seen.body["usage"]["output_tokens"])
    assert all(usage)
    match right:
        case "finish_reason content_filter" | "finish_reason max_tokens":
            assert finish == right.removeprefix("finish_reason ")
        case "another model, or finish_reason refusal; never an empty answer with stop":
            assert finish == "refusal"
        case _ if len(upstream.calls) == 1:
            assert (answer, finish) in (("Hi", "stop"), ("Hi there", "stop"))
            assert right.startswith("the answer is Hi") or "usage" in right
            assert right != "usage 10 and 5" or usage == (10, 5)
        case _:
            assert (answer, finish) == ("FINAL", "stop")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("case", "model"), list(zip(CASES, MODELS, strict=True)), ids=[f"{case['api']}: {case['title']}" for case in CASES]
)
def test_a_case(service: Service, upstream: Upstream, case: dict[str, Any], model: str, route: str) -> None:
    if case["right"].startswith("asked again"):  # learned at the first route; the second reply is all that is needed
        case = {**case, "replies": case["replies"][1:]} if route != ROUTES[0] else case
    replies = [
        Reply([reply["body"].encode()], reply["status"], {"Content-Type": reply["content_type"]})
        for reply in case["replies"]
    ]
    seen = ask(service, upstream, route, model, replies)
    if case["right"].startswith("asked again"):
        assert (seen.body["answer"], seen.body["finish_reason"]) == ("FINAL", "stop")
        return
    check(case["right"], seen, upstream, route)
    if route == "/agent/run" and seen.body.get("answer") == "FINAL":
        made = [(call["name"], call["arguments"], call["status"]) for call in seen.body["tool_calls"]]
        one, two = (("calculator", {"expression": f"{n}+{n}"}, "ok") for n in (1, 2))
        expected = {"both": [one, two], "the ": [("clock", {}, "ok")], "one ": [one]}
        assert made == expected[case["right"][:4]]

"""The OpenAPI document against what the service encodes: every field, every event, every error."""

import json
from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator

from app.api.dialects.native.events import StartedRun
from app.api.failures import kinds_of_errors
from app.api.schemas import Health, SessionAnswer, SessionMessage, SessionsAnswer, Status, UsageAnswer
from app.errors import AppError, BudgetExceeded, DeadlineExceeded, InvalidRequest, RateLimited
from app.messages import Usage
from app.runs.answers import AgentAnswer, ChatAnswer
from app.runs.events import (
    Answer,
    ApprovalRequired,
    Event,
    RunFailed,
    RunFinished,
    RunStarted,
    Suggestion,
    ToolCallRecord,
)
from app.runs.problems import Problem
from app.runs.problems import document as problem_document
from tests.api.events import parse_all
from tests.service import Service

STREAMS = ["/chat/stream", "/api/chat/stream", "/chat", "/agent/run"]
SENT = (
    *(AgentAnswer, ChatAnswer, Health, Problem, SessionAnswer, SessionMessage, SessionsAnswer, Status, Suggestion),
    *(ToolCallRecord, Usage, UsageAnswer),
)


@pytest.fixture(scope="module")
def document(demo: Service) -> Any:
    return demo.ask("GET", "/openapi.json").json()


def fields(document: Any, name: str) -> set[str]:
    return set(document["components"]["schemas"][name]["properties"])


@pytest.mark.parametrize("kind", SENT, ids=lambda kind: kind.__name__)
def test_every_field_of_an_answer_is_documented(document: Any, kind: Any) -> None:
    assert fields(document, kind.__name__) == set(kind.__struct_encode_fields__)


def test_every_fact_of_a_run_is_in_its_answer() -> None:
    assert set(AgentAnswer.__struct_fields__) == set(Answer.__struct_fields__)
    assert set(AgentAnswer.__struct_fields__) - set(ChatAnswer.__struct_fields__) == {
        "tool_calls",
        "iterations",
        "suggestions",
    }


def test_a_run_tells_all_of_its_start_but_headers() -> None:
    assert set(StartedRun.__struct_fields__) == set(RunStarted.__struct_fields__) - {"headers"}


@pytest.mark.parametrize("path", STREAMS)
def test_every_event_of_a_stream_is_documented_with_its_fields(document: Any, path: str) -> None:
    documented = document["paths"][path]["post"]["responses"]["200"]["x-events"]
    assert set(documented) == {kind.name for kind in get_args(Event)}
    for kind in get_args(Event):
        schema = documented[kind.name]["$ref"].rpartition("/")[2]
        if kind is RunFailed:
            assert schema == "Problem"
        elif kind is RunFinished:
            assert schema == ("AgentAnswer" if path == "/agent/run" else "ChatAnswer")
        elif kind is ApprovalRequired:
            assert fields(document, schema) == set(kind.__struct_encode_fields__) | {"links"}
        else:
            assert fields(document, schema) == set(kind.__struct_encode_fields__) - {"headers"}


@pytest.mark.parametrize("path", STREAMS)
def test_the_events_of_a_stream_are_what_the_document_says(demo: Service, document: Any, path: str) -> None:
    response = demo.ask("POST", path, {"message": "What is 6 * 7?", "stream": True})
    documented = document["paths"][path]["post"]["responses"]["200"]["x-events"]
    seen = set()
    for event in parse_all(response.text):
        Draft202012Validator(documented[event.name] | {"components": document["components"]}).validate(event.data)
        seen.add(event.name)
    assert seen >= {"run.started", "token", "tool.started", "tool.finished", "usage", "run.finished"}


@pytest.mark.parametrize("kind", [*kinds_of_errors()], ids=lambda kind: kind.__name__)
def test_every_error_is_documented_at_its_status(document: Any, kind: type[AppError]) -> None:
    name = f"urn:agent-api:problem:{kind.slug}"
    told = document["components"]["schemas"]["Problem"]["properties"]["type"]["description"]
    assert f"`{name}` ({kind.status})" in told


@pytest.mark.parametrize("path", ["/chat", "/agent/run"])
@pytest.mark.parametrize("status", [404, 413, 415, 422, 429, 500, 503, 504])
def test_a_route_tells_its_errors_by_name(document: Any, path: str, status: int) -> None:
    told = document["paths"][path]["post"]["responses"][str(status)]["description"]
    names = {f"`urn:agent-api:problem:{kind.slug}`" for kind in kinds_of_errors() if kind.status == status}
    assert set(told.partition(": ")[2].split(", ")) == names


ERRORS = [
    InvalidRequest("no", [{"field": "a", "problem": "b"}], more=3),
    RateLimited("a", 3, policies="", shown=True),
    BudgetExceeded("user", "day", "usd", retry_after=1, resets_in=2),
    DeadlineExceeded("late"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_problem_has_all_members_of_its_error(document: Any, error: AppError) -> None:
    assert error.members()
    told = json.loads(msgspec.json.encode(problem_document(error, "/chat")))
    assert {name: told[name] for name in error.members()} == json.loads(json.dumps(error.members()))
    assert set(error.members()) <= fields(document, "Problem")

"""The OpenAPI document: complete, and true of every answer."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.api.document import PROBLEM, Document
from tests.models.servers import Reply
from tests.service import Service
from tests.upstream import Upstream, refuses, says, says_whole


@pytest.fixture(scope="module")
def document(demo: Service) -> Document:
    return Document(demo.ask("GET", "/openapi.json").json())


ROUTES = {
    ("post", "/chat"): {"200", "404", "413", "415", "422", "429", "500", "503", "504"},
    ("post", "/chat/stream"): {"200", "404", "413", "415", "422", "429", "500", "503", "504"},
    ("post", "/api/chat"): {"200", "404", "413", "415", "422", "429", "500", "503", "504"},
    ("post", "/api/chat/stream"): {"200", "404", "413", "415", "422", "429", "500", "503", "504"},
    ("post", "/agent/run"): {"200", "404", "413", "415", "422", "429", "500", "503", "504"},
    ("post", "/runs"): {"202", "404", "409", "413", "415", "422", "429", "500", "503"},
    ("get", "/runs"): {"200", "422", "429", "500", "503"},
    ("get", "/runs/{run_id}"): {"200", "404", "422", "429", "500", "503"},
    ("get", "/runs/{run_id}/events"): {"200", "404", "410", "422", "429", "500", "503"},
    ("post", "/runs/{run_id}/cancel"): {"202", "404", "409", "422", "429", "500", "503"},
    ("get", "/approvals"): {"200", "422", "429", "500", "503"},
    ("get", "/approvals/{approval_id}"): {"200", "404", "422", "429", "500", "503"},
    ("post", "/approvals/{approval_id}"): {"200", "403", "404", "409", "413", "415", "422", "429", "500", "503"},
    ("get", "/api/tools"): {"200"},
    ("post", "/api/tools/{name}"): {"200", "404", "413", "415", "422", "429", "500", "503"},
    ("get", "/sessions"): {"200", "422", "500", "503"},
    ("get", "/sessions/{session_id}"): {"200", "404", "422", "500", "503"},
    ("delete", "/sessions/{session_id}"): {"204", "404", "422", "500", "503"},
    ("get", "/live"): {"200"},
    ("get", "/ready"): {"200", "503"},
    ("get", "/health"): {"200"},
}


def test_every_route_lists_its_answers(document: Document) -> None:
    known = {(method, path): set(operation["responses"]) for method, path, operation in document.operations()}
    for route, statuses in ROUTES.items():
        assert statuses <= known[route], route


def test_every_error_is_a_problem(document: Document) -> None:
    for _, path, operation in document.operations():
        for status, response in operation["responses"].items():
            if status >= "400" and path != "/ready":
                assert list(response["content"]) == [PROBLEM], (path, status)


def test_every_answer_has_a_schema_and_every_route_says_what_it_does(document: Document) -> None:
    for method, path, operation in document.operations():
        assert operation["tags"], path
        assert operation.get("description") or operation.get("summary"), path
        for status, response in operation["responses"].items():
            for kind, content in response.get("content", {}).items():
                assert content["schema"], (method, path, status, kind)
                Draft202012Validator.check_schema(content["schema"])


def test_a_stream_is_documented_as_one(document: Document) -> None:
    for path in ("/chat", "/api/chat"):
        content = document.paths[path]["post"]["responses"]["200"]["content"]
        assert content.keys() == {"application/json", "text/event-stream"}
        content = document.paths[f"{path}/stream"]["post"]["responses"]["200"]["content"]
        assert content.keys() == {"text/event-stream"}


def test_requests_for_runs_and_no_others_may_go_past_the_answer_cache(document: Document) -> None:
    told = {
        path
        for _, path, operation in document.operations()
        if any(each["name"] == "Cache-Control" and each["in"] == "header" for each in operation.get("parameters", ()))
    }
    assert told == {"/chat", "/chat/stream", "/api/chat", "/api/chat/stream", "/agent/run", "/runs"}


def test_operations_have_names_of_their_own(document: Document) -> None:
    names = [operation["operationId"] for _, _, operation in document.operations()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9_]+", name) for name in names)


ANSWERS: list[tuple[str, str, str, Any]] = [
    ("GET", "/live", "/live", None),
    ("GET", "/ready", "/ready", None),
    ("GET", "/health", "/health", None),
    ("GET", "/api/tools", "/api/tools", None),
    ("POST", "/api/tools/{name}", "/api/tools/calculator", {"expression": "6*7"}),
    ("POST", "/api/tools/{name}", "/api/tools/calculator", {"expression": "1/0"}),
    ("POST", "/api/tools/{name}", "/api/tools/clock", {}),
    ("POST", "/api/tools/{name}", "/api/tools/nothing", {}),
    ("POST", "/api/tools/{name}", "/api/tools/clock", []),
    ("POST", "/chat", "/chat", {"message": "6 * 7", "session_id": "documented"}),
    ("POST", "/chat", "/chat", {"query": "hi", "stream": True}),
    ("POST", "/chat", "/chat", {"message": ""}),
    ("POST", "/chat", "/chat", {"message": "hi", "model": "nobody"}),
    ("POST", "/chat", "/chat", None),
    ("POST", "/chat/stream", "/chat/stream", {"message": "hi"}),
    ("POST", "/chat/stream", "/chat/stream", {"mesage": "hi"}),
    ("POST", "/api/chat", "/api/chat", {"message": "hi"}),
    ("POST", "/agent/run", "/agent/run", {"query": "6 * 7 in Paris time"}),
    ("POST", "/agent/run", "/agent/run", {"message": "6 * 7", "model": "demo", "agent": "default"}),
    ("POST", "/agent/run", "/agent/run", {"query": "hi", "stream": True}),
    ("POST", "/agent/run", "/agent/run", {"query": "hi", "tools": ["nothing"]}),
    ("POST", "/agent/run", "/agent/run", {"query": "hi", "max_iterations": 0}),
    ("POST", "/agent/run", "/agent/run", {"query": "hi", "background": True}),
    ("POST", "/chat/stream", "/chat/stream", {"message": "hi", "resumable": True}),
    ("POST", "/runs", "/runs", {"query": "6 * 7", "session_id": "documented-too", "on_busy": "enqueue"}),
    ("POST", "/runs", "/runs", {"query": "hi", "start_at": "tomorrow"}),
    ("GET", "/runs", "/runs", None),
    ("GET", "/runs", "/runs?limit=1", None),
    ("GET", "/runs", "/runs?cursor=nonsense", None),
    ("GET", "/runs/{run_id}", "/runs/unheard-of", None),
    ("GET", "/runs/{run_id}/events", "/runs/unheard-of/events", None),
    ("POST", "/runs/{run_id}/cancel", "/runs/unheard-of/cancel", None),
    ("GET", "/approvals", "/approvals", None),
    ("GET", "/approvals", "/approvals?status=perhaps", None),
    ("GET", "/approvals/{approval_id}", "/approvals/unheard-of", None),
    ("POST", "/approvals/{approval_id}", "/approvals/unheard-of", {"decision": "approve"}),
    ("POST", "/approvals/{approval_id}", "/approvals/unheard-of", {"decision": "yes"}),
    ("GET", "/sessions/{session_id}", "/sessions/documented", None),
    ("GET", "/sessions", "/sessions", None),
    ("GET", "/sessions", "/sessions?limit=1&before=1e9", None),
    ("GET", "/sessions", "/sessions?limit=0", None),
    ("GET", "/sessions/{session_id}", "/sessions/unheard-of", None),
    ("GET", "/sessions/{session_id}", "/sessions/a.b", None),
    ("DELETE", "/sessions/{session_id}", "/sessions/documented", None),
    ("DELETE", "/sessions/{session_id}", "/sessions/documented", None),
    ("DELETE", "/sessions/{session_id}", "/sessions/documented?user_id=", None),
]


@pytest.mark.parametrize(("method", "path", "url", "body"), ANSWERS)
def test_an_answer_is_what_the_document_says(
    demo: Service, document: Document, method: str, path: str, url: str, body: Any
) -> None:
    document.check(demo.ask(method, url, body), path)


@pytest.mark.parametrize("reply", [says_whole("hi"), refuses(429), refuses(500), Reply([b"{"])])
def test_an_answer_with_another_model_is_what_the_document_says(
    relay: Service, document: Document, upstream: Upstream, reply: Reply
) -> None:
    upstream.will(reply)
    document.check(relay.chat("hi"), "/chat")
    upstream.will(says("hi") if reply.status == 200 else reply)
    document.check(relay.ask("POST", "/chat/stream", {"message": "hi"}), "/chat/stream")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/chat", {"message": "hi"}),
        ("/chat", {"message": "hi", "user_id": "ada@example.com", "stream": True}),
        ("/agent/run", {"query": "hi", "model": "demo", "agent": "default", "stream": False}),
        ("/agent/run", {"query": "hi", "max_iterations": 5, "max_cost_usd": 0.1, "tools": ["clock"], "user_id": "ada"}),
        ("/runs", {"query": "hi", "start_at": "2030-01-31T09:00:00+01:00", "on_busy": "interrupt"}),
        ("/runs", {"query": "hi", "webhook": {"url": "https://example.com/", "secret": "hooks"}}),
        ("/chat", {"message": "hi", "background": True, "session_id": "s", "on_busy": "enqueue"}),
        ("/chat/stream", {"message": "hi", "resumable": True, "on_disconnect": "continue"}),
        ("/api/tools/{name}", {}),
        ("/api/tools/{name}", {"expression": "6 * 7"}),
    ],
)
def test_the_document_accepts_what_the_service_accepts(document: Document, path: str, body: Any) -> None:
    assert document.accepts(path, body)


@pytest.mark.parametrize(
    "body", [{}, [], {"message": ""}, {"message": "hi", "query": "hi"}, {"message": 5}, {"message": "hi", "more": 1}]
)
def test_the_document_refuses_what_the_service_refuses(demo: Service, document: Document, body: Any) -> None:
    assert not document.accepts("/chat", body)
    assert demo.ask("POST", "/chat", body).status_code == 422

"""docs/log-events.schema.json: what the service can log has a schema, and what it does log is valid."""

import ast
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.conftest import Serve
from tests.redis_server import free_port
from tests.service import Service
from tests.telemetry.events_table import PAGE, ROOT, SCHEMA, page
from tests.telemetry.schemas import problems
from tests.upstream import MODEL, Upstream, asks, refuses, says, says_whole

EVENTS = SCHEMA["$defs"].keys() - {"line", "library"}
_EVENT = re.compile(r"[a-z_]+(\.[a-z_]+)*").fullmatch
_WRITES = re.compile(
    r"(log\.(info|note|always|warning|error|exception)|write|BackgroundWrites|_log|.* if .* else log\..*)"
).fullmatch


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    """Every call in app/ that names an event."""
    for path in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _WRITES(ast.unparse(node.func).strip("()")):
                for argument in node.args[:3]:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield path, argument.value, node
                        break


CALLS = [(path, event, node) for path, event, node in calls() if _EVENT(event)]


def test_every_event_that_is_logged_has_a_schema_and_the_other_way_round() -> None:
    assert {event for _, event, _ in CALLS} | {"agent.request.success"} == EVENTS


def test_every_field_that_is_logged_by_name_is_in_its_schema() -> None:
    for path, event, node in CALLS:
        if not ast.unparse(node.func).startswith("log."):
            continue
        known = SCHEMA["$defs"][event]["properties"].keys() | {"exc_info", None}
        assert {keyword.arg for keyword in node.keywords} <= known, f"{path}: {event}"


def test_the_schemas_are_strict_and_say_what_each_field_is() -> None:
    Draft202012Validator.check_schema(dict(SCHEMA))
    for name, event in SCHEMA["$defs"].items():
        if name != "line":
            assert event["unevaluatedProperties"] is False
            assert event["description"].endswith(".")
            assert set(event["required"]) <= event["properties"].keys()
        fields = {field: about for field, about in event["properties"].items() if field not in ("event", "level")}
        assert all("description" in about for about in fields.values()), name


def test_the_page_has_the_table_of_the_schema() -> None:
    assert PAGE.read_text() == page(), "python -m tests.telemetry.events_table writes it"


@pytest.mark.parametrize(
    "line",
    [
        {"event": "drain.end", "cut": 0, "more": 1},
        {"event": "drain.end"},
        {"event": "drain.end", "cut": -1},
        {"event": "drain.end", "cut": 0, "level": "error"},
        {"event": "drain.end", "cut": 0, "timestamp": "now"},
        {"event": "nothing"},
    ],
)
def test_a_line_that_is_not_as_described_is_found(line: dict[str, object]) -> None:
    common = {"timestamp": "2026-01-01T00:00:00.000000Z", "level": "info", "request_id": "", "trace_id": ""}
    assert problems([common | line])
    assert not problems([common | {"event": "drain.end", "cut": 0}])


def send(service: Service, data: bytes) -> bytes:
    """What the service answers to bytes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(data)
        return connection.recv(4096)


def chat(service: Service, message: str = "hi", **fields: object) -> None:
    service.client.post("/chat", json={"message": message, "model": MODEL, **fields})


def test_every_line_of_a_mixed_load_is_valid(serve: Serve, upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "desk.yaml").write_text("prompt: Help.\ntools: [hand_over_to_human]\n")
    service = serve(
        models=f"{MODEL},demo",
        agents_dir=tmp_path,
        openai_base_url=f"{upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        model_retries=1,
        stream_recovery="fail",
        log_content=True,
        head_timeout_seconds=0.3,
        limits='{"tiers": {"default": {"tools": {"*": {"per_minute": 3}}, "agent": {"per_minute": 1}}}}',
        otel_exporter_otlp_endpoint=f"http://127.0.0.1:{free_port()}",
        otel_bsp_schedule_delay=50,
    )
    service.may_log_errors = True
    upstream.will(asks(("calculator", {"expression": "6*7"}), ("calculator", {"expression": "1/0"})), says_whole("42"))
    chat(service, session_id="a")
    upstream.reset(asks(("hand_over_to_human", {"reason": "r"})), says_whole("soon"))
    run_id = service.client.post("/chat", json={"message": "x", "model": MODEL, "agent": "desk"}).json()["run_id"]
    service.ask(
        "POST", "/feedback", {"run_id": run_id, "completed": False, "escalated": True, "score": 1, "comment": "c"}
    )
    service.ask("POST", "/feedback", {"run_id": "none", "completed": False})
    upstream.reset(says("a", "b"))
    service.client.post("/chat/stream", json={"message": "hi", "model": MODEL})
    upstream.reset(says("a", "b").ending_with("cut"))
    service.client.post("/chat/stream", json={"message": "hi", "model": MODEL})
    upstream.reset(says("a", "b").with_pieces(says("a", "b").pieces[:2]).ending_with("silent"))
    with service.client.stream("POST", "/chat/stream", json={"message": "hi", "model": MODEL}) as stream:
        next(stream.iter_lines())
    service.wait_for_event("request", outcome="client_gone")
    upstream.reset(refuses(500, Retry_After="0"))
    service.client.post("/chat", json={"message": "hi"})
    for status in (400, 401, 500, 429):
        upstream.reset(refuses(status, Retry_After="0"))
        chat(service)
    for path in ("/chat", "/nowhere", "/sessions"):
        service.client.post(path, json={})
    for _ in range(2):
        service.client.post("/agent/run", json={"query": "hi", "model": "demo", "user_id": "ada"})
    service.client.get("/sessions")
    for data in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 70_000, b"GET / HTTP/1.1\r\n"):
        assert send(service, data).startswith(b"HTTP/1.1 4")
    service.wait_for_event("request", status=408)
    library = next(line for _ in iter(int, 1) for line in service.log() if line.get("logger"))
    service.end()
    lines = service.log()
    assert problems(lines) == []
    seen = {line["event"] for line in lines if "logger" not in line}
    assert seen >= {"start", "request", "agent.request.success", "agent.request.failed", "llm_call", "tool_call"}
    assert seen >= {"feedback", "escalation", "model.switched", "drain.start", "drain.end", "traces.end"}
    assert {400, 404, 405, 408, 422, 429, 431} <= {line["status"] for line in lines if line["event"] == "request"}
    outcomes = {line.get("outcome") for line in lines if line["event"] == "request"}
    assert outcomes >= {None, "ok", "failed_model", "client_gone", "limited"}
    whole = Draft202012Validator(SCHEMA)
    assert all(whole.is_valid(line) for line in (library, lines[0]))


def test_a_request_line_says_what_its_run_came_to_and_who_asked(serve: Serve, upstream: Upstream) -> None:
    service = serve(
        models=MODEL,
        openai_base_url=f"{upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        trusted_proxies="127.0.0.0/8",
    )
    upstream.will(says("a", "b"))
    body = {"message": "hi", "user_id": "ada"}
    answer = service.ask("POST", "/chat/stream", body, x_forwarded_for="203.0.113.7", x_request_id="told-1")
    line = service.wait_for_event("request", request_id="told-1")
    run_id = json.loads(re.findall(r"data: (\{.*)", answer.text)[0])["run_id"]
    assert line["run_id"] == run_id
    assert (line["user"], line["peer"], line["outcome"]) == ("anonymous:ada", "203.0.113.7", "ok")
    assert (line["model"], line["attempts"], line["cached"], line["finish_reason"]) == (MODEL, 1, False, "stop")
    assert (line["tokens"], line["cost_usd"], line["queue_ms"]) == (40, 0.0, 0.0)
    assert 0 < line["ttft_ms"] <= line["latency_ms"]
    assert "fallback_from" not in line

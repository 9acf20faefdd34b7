"""Logs: one JSON object a line, what belongs to a request with its ids, and no word of what was said."""

import json
import logging
from collections.abc import Callable
from datetime import datetime
from errno import ENOSPC
from io import BytesIO
from typing import Any

import pytest

from app.settings import load
from app.telemetry.lines import Lines, Rendered, visible
from app.telemetry.logs import configure, log
from tests.conftest import Serve
from tests.logged import capture_logs, restored_log
from tests.service import Service
from tests.upstream import MODEL, Upstream, asks, refuses, says_whole

SECRETS = {"openai_api_key": "sk-of-the-service-0123456789", "jwt_secret": "0123456789-signs-the-tokens-0123456789"}
QUESTION, ANSWER = "What-the-user-said", "What-the-model-said"


@pytest.fixture
def talkative(serve: Serve, upstream: Upstream) -> Serve:
    def start(**settings: object) -> Service:
        common = {"models": MODEL, "openai_base_url": f"{upstream.url}/v1", "unknown_price": "allow", **SECRETS}
        service = serve(**common, model_retries=0, **settings)
        service.may_log_errors = True
        return service

    return start


def test_every_line_is_an_object_with_a_time_a_level_and_ids(demo: Service) -> None:
    demo.chat("hi")
    for text in demo.raw_log().split("\n")[:-1]:
        line = json.loads(text)
        assert list(line)[:5] == ["timestamp", "level", "event", "request_id", "trace_id"]
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
        assert line["level"] in ("debug", "info", "warning", "error")


def test_a_run_leaves_the_lines_of_the_design(relay: Service, upstream: Upstream) -> None:
    upstream.will(asks(("calculator", {"expression": "6*7"})), says_whole("42"))
    response = relay.ask("POST", "/chat", {"message": "hi", "session_id": "logged"}, x_request_id="logged-1")
    relay.wait_for_event("request", request_id="logged-1")
    every = [line for line in relay.log() if line["request_id"] == "logged-1"]
    assert [(line["action"], line["on"]) for line in every if line["event"] == "audit"] == [("tool", "calculator")]
    lines = [line for line in every if line["event"] != "audit"]
    assert [line["event"] for line in lines] == [
        "agent.request.start",
        "llm_call",
        "tool_call",
        "llm_call",
        "agent.request.success",
        "request",
    ]
    assert {line["trace_id"] for line in lines} == {response.headers["x-trace-id"]}
    call, tool, end, request = lines[1], lines[2], lines[4], lines[5]
    assert {"model", "tokens", "latency_ms", "cost_usd", "success"} <= call.keys()
    assert (call["model"], call["tokens"], call["success"]) == (MODEL, 40, True)
    assert {"tool", "latency_ms", "success", "error"} <= tool.keys()
    assert (tool["tool"], tool["success"], tool["error"]) == ("calculator", True, None)
    assert (end["tokens"], end["iterations"]) == (80, 2)
    assert (request["method"], request["path"], request["status"]) == ("POST", "/chat", 200)
    assert request["latency_ms"] >= end["latency_ms"] > 0


def test_a_failed_run_says_why(relay: Service, upstream: Upstream) -> None:
    upstream.will(refuses(500))
    relay.ask("POST", "/chat", {"message": "hi"}, x_request_id="logged-2")
    relay.wait_for_event("request", request_id="logged-2", status=503)
    failed = relay.log("agent.request.failed", request_id="logged-2")[0]
    assert failed["error"] == "model-unavailable"
    call = relay.log("llm_call", request_id="logged-2")[0]
    assert call["success"] is False


def talk(service: Service, upstream: Upstream) -> None:
    """A run that works and ways of failing, with a secret wherever one can be put."""
    upstream.will(asks(("calculator", {"expression": f"6*7+{QUESTION}"})), says_whole(ANSWER))
    headers = {"Authorization": "Bearer sk-of-the-user", "Cookie": "sk-of-the-user", "X-Api-Key": "sk-of-the-user"}
    body = {"message": QUESTION, "session_id": "said"}
    assert service.client.post("/chat", json=body, headers=headers).json()["answer"] == ANSWER
    for status in (400, 401, 500):
        upstream.will(refuses(status))
        service.client.post("/chat", json=body, headers=headers)
    upstream.will(refuses(429, Retry_After="0"))
    service.client.post("/chat", json=body, headers=headers)
    service.client.post("/chat", json={"message": [QUESTION]}, headers=headers)
    service.client.post("/chat", content=QUESTION, headers=headers | {"Content-Type": "application/json"})
    service.client.post("/api/tools/calculator", json={"expression": QUESTION}, headers=headers)
    service.client.get(f"/nowhere?key=sk-of-the-user&q={QUESTION}", headers=headers)
    service.wait_for_event("request", path="/nowhere")


def test_no_word_and_no_secret_is_logged(talkative: Serve, upstream: Upstream) -> None:
    service = talkative(log_level="debug")
    talk(service, upstream)
    log = service.raw_log() + service.stderr()
    for word in (QUESTION, ANSWER, "sk-of-the-user", *SECRETS.values()):
        assert word not in log


def test_with_log_content_the_words_are_there_in_one_line_each_but_no_secret(
    talkative: Serve, upstream: Upstream
) -> None:
    service = talkative(log_content="true")
    talk(service, upstream)
    assert service.log("agent.request.start")[0]["content"] == QUESTION
    assert service.log("agent.request.success")[0]["content"] == ANSWER
    odd = 'a\nb\r\n{"level":"error"}\u2028\u202e\x1b[31m"\\'
    upstream.will(says_whole(odd))
    service.ask("POST", "/chat", {"message": odd}, x_request_id="odd")
    assert service.wait_for_event("agent.request.success", request_id="odd")["content"] == odd
    log = service.raw_log()
    for word in ("sk-of-the-user", "\x1b", *SECRETS.values()):
        assert word not in log


CONTROLS = "".join(
    map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x200B, 0x2028, 0x2029, 0x202E, 0x2066, 0xFEFF, 0xE0041])
)


def test_what_a_terminal_obeys_is_escaped(talkative: Serve, upstream: Upstream) -> None:
    service = talkative(log_content="true")
    upstream.will(says_whole(CONTROLS))
    service.ask("POST", "/chat", {"message": CONTROLS.replace("\0", "x")}, x_request_id="controls")
    line = service.wait_for_event("agent.request.success", request_id="controls")
    assert line["content"] == CONTROLS
    service.client.get("/nowhere%1b%5b31m%7f%c2%9b%e2%80%a8%0a")
    service.wait_for_event("request", path="/nowhere\x1b[31m\x7f\x9b\u2028\n")
    assert not set(service.raw_log()) & set(CONTROLS) - {"\n"}


def console(write: Callable[[], None]) -> str:
    """What people see of the lines that `write` writes."""
    return written(write, log_format="console").decode()


def written(write: Callable[[], None], **settings: Any) -> bytes:
    """What lands on stdout of the lines that `write` writes."""
    out = BytesIO()
    with restored_log():
        configure(load(None, **settings), out)
        write()
    return out.getvalue()


def test_what_a_terminal_obeys_is_escaped_for_people_too() -> None:
    def write() -> None:
        log.info("request", path=f"/a{CONTROLS}", other="plain")
        event = f"event{CONTROLS}"
        log.info(event)
        logging.getLogger("elsewhere").warning("said %s", CONTROLS)
        try:
            raise ValueError(CONTROLS)
        except ValueError:
            log.exception("crashed")

    shown = console(write)
    assert not set(shown) & set(CONTROLS) - {"\n"}
    assert "other=plain" in shown
    assert "\\x1b" in shown
    assert "\\u2028" in shown
    starts = [line for line in shown.splitlines() if line.startswith("20")]
    assert len(starts) == 4


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("debug", ["info", "warning", "error", "error"]),
        ("info", ["info", "warning", "error", "error"]),
        ("warning", ["warning", "error", "error"]),
        ("error", ["error", "error"]),
    ],
)
def test_lines_below_the_level_are_left_out(level: str, kept: list[str]) -> None:
    def write() -> None:
        log.info("a", number=1)
        log.warning("b")
        log.error("c")
        log.exception("d")

    lines = [json.loads(line) for line in written(write, log_level=level).splitlines()]
    assert [line["level"] for line in lines] == kept


def test_a_stack_is_one_line_without_secrets_whoever_logs_it() -> None:
    def write() -> None:
        try:
            raise ValueError(f"Bearer {SECRETS['openai_api_key']}")
        except ValueError as error:
            log.exception("ours")
            log.warning("given", exc_info=error)
            logging.getLogger("elsewhere").exception("theirs")

    lines = [json.loads(line) for line in written(write).splitlines()]
    assert [line["event"] for line in lines] == ["ours", "given", "theirs"]
    assert lines[2]["logger"] == "elsewhere"
    for line in lines:
        assert line["exception"].startswith("Traceback")
        assert line["exception"].endswith("ValueError: Bearer …")


def test_a_console_that_was_configured_silences_nobody() -> None:
    with restored_log():
        configure(load(None, log_format="console"), BytesIO())
        log.info("configured")
        with capture_logs() as lines:
            log.info("captured", number=1)
        configure(load(None, log_level="error"), out := BytesIO())
        log.error("again")
    assert lines == [{"event": "captured", "log_level": "info", "number": 1}]
    assert json.loads(out.getvalue())["event"] == "again"


def test_what_people_write_is_not_escaped() -> None:
    text = "Grüße, 東京, שלום, مرحبا, 😀 — “quoted”"
    assert visible(text.encode()) == text.encode()
    assert visible("a\x7fb\x85".encode()) == rb"a\u007fb\u0085"


def test_lines_that_cannot_be_written_do_not_silence_the_next_ones() -> None:
    class Full(BytesIO):
        full = True

        def write(self, data: Any) -> int:
            if self.full:
                raise OSError(ENOSPC, "no space")
            return super().write(data)

    out = Full()
    lines = Lines(out)
    with pytest.raises(OSError, match="no space"):
        lines.add(Rendered("info", b"first"))  # outside an event loop it is written at once
    out.full = False
    lines.add(Rendered("info", b"second"))
    assert out.getvalue() == b"second\n"

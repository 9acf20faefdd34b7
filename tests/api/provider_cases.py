"""Cases of what providers sent, and a server that answers each model as that model's case says.

One process has a model for every case, since what a model's server takes is learned.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from app.messages import ToolCall, Usage
from tests.api.events import Event, parse_all
from tests.models.dialects import AnthropicDialect, Dialect, OllamaDialect, OpenAIDialect, Script
from tests.models.servers import Received, Reply
from tests.service import Service
from tests.upstream import Upstream

DIALECTS: Mapping[str, Dialect] = {
    "openai": OpenAIDialect(),
    "anthropic": AnthropicDialect(),
    "ollama": OllamaDialect(),
}
PATIENCE_SECONDS = 60.0
PATHS = {"chat": "/chat", "stream": "/chat/stream", "agent": "/agent/run"}
MODELS = Reply([b'{"object":"list","data":[]}'])


@dataclass(frozen=True)
class Case:
    """A case asked in one way; `model` is its alone."""

    fields: Mapping[str, Any]
    way: str
    model: str

    @property
    def ref(self) -> str:
        return f"{self.fields['api']}/{self.model}"

    def __str__(self) -> str:
        return f"{self.fields['api']}: {self.fields['title']} ({self.way})"


def cases(lines: Sequence[bytes], prefix: str) -> list[Case]:
    """Each case in all ways, or in those it names."""
    read = [json.loads(line) for line in lines if line.strip()]
    return [
        Case(fields, way, f"{prefix}-{number}-{way}")
        for number, fields in enumerate(read)
        for way in fields.get("ways", PATHS)
    ]


def reply_of(told: Any, dialect: Dialect, *, stream: bool) -> Reply:
    """The bytes of a reply, from one of its short forms: a text or a call as the API usually has it, `sse` events,
    `lines`, `json`, or a `body`."""
    told = {"text": told} if isinstance(told, str) else told
    if "text" in told or "call" in told:
        calls = [ToolCall("call_1", *told["call"])] if "call" in told else []
        script = Script([told["text"]] if "text" in told else [], calls, usage=Usage(10, 5))
        return dialect.streamed(script) if stream else dialect.plain(script)
    kind = "text/event-stream" if "sse" in told or "text/event" in told.get("content_type", "") else "application/json"
    headers = {"Content-Type": told.get("content_type", kind), **told.get("headers", {})}
    return Reply([_body(told, dialect)], told.get("status", 200), headers, told.get("ending", "complete"))


def _body(told: Mapping[str, Any], dialect: Dialect) -> bytes:
    if "sse" in told:
        return b"".join(
            b"data: [DONE]\n\n" if event == "[DONE]" else dialect.event(json.dumps(event)) for event in told["sse"]
        )
    if "lines" in told:
        return b"".join(json.dumps(line).encode() + b"\n" for line in told["lines"])
    if "json" in told:
        return json.dumps(told["json"]).encode()
    return str(told["body"]).encode()


class Providers(Upstream):
    """Routes by the model that a request names."""

    def __init__(self, all_cases: Sequence[Case]) -> None:
        super().__init__()
        self._cases = {case.model: case for case in all_cases}
        self._left = {case.model: list(case.fields["replies"]) for case in all_cases}
        self.sent: dict[str, list[Any]] = {case.model: [] for case in all_cases}

    def reply_to(self, request: Received) -> Reply:
        body = request.body
        if request.method == "GET" or "messages" not in (body or {}):
            return MODELS
        case = self._cases[body["model"]]
        self.sent[case.model].append(body)
        left = self._left[case.model]
        told = left.pop(0) if len(left) > 1 else left[0]
        return reply_of(told, DIALECTS[case.fields["api"]], stream=body.get("stream", True))


@dataclass(frozen=True)
class Outcome:
    """What a caller of the service is told, in whichever way it came."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    told: str
    reasoning: str
    tools: Sequence[tuple[str, Any, str]]
    seconds: float

    @property
    def slug(self) -> str:
        return str(self.body.get("type", "")).rpartition(":")[2]


def ask(service: Service, case: Case, message: str, session_id: str | None = None) -> Outcome:
    body: dict[str, Any] = {"query" if case.way == "agent" else "message": message, "model": case.ref}
    if session_id is not None:
        body["session_id"] = session_id
    if case.way == "agent":
        body["tools"] = ["calculator", "clock"]
    started = time.monotonic()
    try:
        response = service.client.post(PATHS[case.way], json=body, timeout=PATIENCE_SECONDS)
    except httpx.TimeoutException:
        return Outcome(0, {}, {}, "", "", (), 8)
    seconds = time.monotonic() - started
    if case.way == "stream" and response.status_code == 200:
        return _streamed(parse_all(response.text), response.headers, seconds)
    answer = response.json()
    calls = [(call["name"], call["arguments"], call["status"]) for call in answer.get("tool_calls", ())]
    return Outcome(response.status_code, answer, response.headers, answer.get("answer", ""), "", calls, seconds)


def _streamed(events: Sequence[Event], headers: Mapping[str, str], seconds: float) -> Outcome:
    last = events[-1].data
    arguments = {event.data["id"]: event.data["arguments"] for event in events if event.name == "tool.started"}
    finished = [event.data for event in events if event.name == "tool.finished"]
    return Outcome(
        last.get("status", 200),
        last,
        headers,
        _joined(events, "token"),
        _joined(events, "reasoning"),
        [(event["tool"], arguments[event["id"]], event["status"]) for event in finished],
        seconds,
    )


def _joined(events: Sequence[Event], name: str) -> str:
    return "".join(event.data["text"] for event in events if event.name == name)

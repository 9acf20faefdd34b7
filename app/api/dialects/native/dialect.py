"""The native dialect of `/chat`, `/agent/run` and `/runs`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import replace

from app.api.body import Body
from app.api.dialects.native import events
from app.api.dialects.native.events import END_MARK, HEARTBEAT, ShowAnswer
from app.api.dialects.native.problems import NativeProblems
from app.api.dialects.native.requests import AgentRunRequest, ChatRequest, Choices, Question, RunsRequest, Task
from app.api.dialects.protocol import Asked, Frame, KeptFrame
from app.api.invalid import invalid
from app.durable.keeping import Keeping
from app.errors import InvalidRequest
from app.limits.limiter import AGENT
from app.messages import AssistantMessage, Message, UserMessage
from app.runs.answers import agent_answer, chat_answer
from app.runs.events import Answer
from app.runs.request import RunRequest

Q = TypeVar("Q", bound=Question)
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Native(NativeProblems, Generic[Q]):
    """Reads bodies of one model and shows answers in one shape."""

    body: Body[Q]
    run_of: Callable[[Q], RunRequest]
    show: ShowAnswer
    keeping_of: Callable[[Q], Keeping | None]
    heartbeat = HEARTBEAT
    end_mark = END_MARK

    def request(self, body: bytes) -> Asked:
        read = self.body.read(body)
        return Asked(self.run_of(read), read.user_id, self.keeping_of(read))

    def frames(self, path: str) -> Frame:
        return events.frames(self.show, path)

    def kept_frames(self, path: str) -> KeptFrame:
        return events.kept_frames(self.show, path)

    def whole(self, answer: Answer) -> bytes:
        return _encode(self.show(answer))


def chat(max_message_chars: int, *, always_streams: bool = False) -> Native[ChatRequest]:
    """The dialect of `/chat`; with `always_streams` that of `/chat/stream`."""

    def run_of(body: ChatRequest) -> RunRequest:
        return RunRequest(
            message=check_text("message", body.message, max_message_chars),
            session_id=body.session_id,
            model=body.model,
            agent=body.agent,
            stream=always_streams or body.stream,
        )

    return Native(Body(ChatRequest), run_of, chat_answer, partial(ChatRequest.keeping, always_streams=always_streams))


def agent(max_message_chars: int) -> Native[AgentRunRequest]:
    """The dialect of `/agent/run`."""

    run_of = partial(_task, max_message_chars=max_message_chars)
    return Native(Body(AgentRunRequest), run_of, agent_answer, AgentRunRequest.keeping)


def task(max_message_chars: int) -> Native[RunsRequest]:
    """The dialect of `/runs`."""
    run_of = partial(_task, max_message_chars=max_message_chars)
    return Native(Body(RunsRequest), run_of, agent_answer, RunsRequest.in_background)


def _task(body: AgentRunRequest | RunsRequest, max_message_chars: int) -> RunRequest:
    message, history = _conversation(body, max_message_chars)
    return replace(
        chosen(body, max_message_chars),
        message=message,
        session_id=body.session_id,
        model=body.model,
        agent=body.agent,
        stream=body.stream,
        suggestions=body.suggestions,
        history=history,
    )


def chosen(body: Choices, max_message_chars: int) -> RunRequest:
    """A request with these choices, whose message is to be filled in. Raises InvalidRequest."""
    return RunRequest(
        message="",
        tools=None if body.tools is None else tuple(body.tools),
        max_iterations=body.max_iterations,
        max_cost_usd=body.max_cost_usd,
        system=None if body.system is None else check_text("system", body.system, max_message_chars),
        temperature=body.temperature,
        max_tokens=body.max_tokens,
        response_format=None if body.response_format is None else _schema(body.response_format, max_message_chars),
        operation=AGENT,
    )


def _conversation(body: Task, max_chars: int) -> tuple[str, tuple[Message, ...] | None]:
    """The task, and what was said before it where the request tells that. Raises InvalidRequest."""
    if body.query is not None and body.messages is None:
        return check_text("query", body.query, max_chars), None
    if body.messages is None:
        raise invalid([{"loc": ("query",), "msg": "Field required"}])
    for field, given in (("query", body.query), ("session_id", body.session_id)):
        if given is not None:
            raise invalid([{"loc": (field,), "msg": "Give this or messages, not both"}])
    *before, task = [
        (one.role, check_text(f"messages.{n}", one.content, max_chars)) for n, one in enumerate(body.messages)
    ]
    if task[0] != "user":
        raise invalid([{"loc": ("messages",), "msg": "The last message should be the user's"}])
    return task[1], tuple([UserMessage(text) if role == "user" else AssistantMessage(text) for role, text in before])


def _schema(schema: dict[str, Any], max_bytes: int) -> dict[str, Any]:
    if schema.get("type") != "object":
        raise invalid([{"loc": ("response_format",), "msg": "Input should be a JSON schema of type object"}])
    if (size := len(_encode(schema))) > max_bytes:
        raise invalid([{"loc": ("response_format",), "msg": f"has {size} bytes; at most {max_bytes} are taken"}])
    return schema


def check_text(field: str, text: str, max_chars: int) -> str:
    """`text` as it is. Raises InvalidRequest if it is blank, too long or holds a NUL."""
    if len(text) > max_chars:
        problem = f"has {len(text)} characters; at most {max_chars} are taken"
    elif not text.strip():
        problem = "is blank"
    elif "\0" in text:
        problem = "holds a NUL character"
    else:
        return text
    raise InvalidRequest(f"{field}: {problem}", [{"field": field, "problem": problem}])

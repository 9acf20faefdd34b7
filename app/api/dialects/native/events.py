"""Events of a run as server-sent events, and what the OpenAPI document says of them."""

from collections.abc import Callable
from typing import Any, get_args

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.api.dialects.protocol import Frame, KeptFrame
from app.api.error_headers import retry_after_seconds
from app.durable.approvals.rendering import PendingApproval, pending
from app.durable.event_codec import decode_event
from app.runs.events import Answer, ApprovalRequired, Event, RunFailed, RunFinished, RunStarted, Token
from app.runs.problems import Problem, document

HEARTBEAT = b": still here\n\n"
END_MARK = b"data: [DONE]\n\n"
STREAMS_THEM = "The run's events, as server-sent events."

ShowAnswer = Callable[[Answer], Struct]
Refer = Callable[[type, str], str]
"""The reference to a type in the OpenAPI document, under this name."""

_encode = msgspec.json.Encoder().encode
_SHOWN_OTHERWISE = frozenset(kind.name.encode() for kind in (RunStarted, ApprovalRequired, RunFinished, RunFailed))
_SAYS = {
    "run.started": "the first event: the run's ids and its model",
    "token": "a piece of the answer",
    "reasoning": "a piece of what the model thinks before it answers; no part of the answer",
    "tool.started": "a tool is called",
    "tool.finished": "what came of it",
    "model.switched": "a model failed, and another goes on: with the text so far, at this character of it",
    "usage": "what one model call used",
    "approval.required": "a tool is not called before a person has approved it",
    "run.paused": "the run waits for decisions on these calls, and nothing works on it meanwhile: a stream that "
    "answers a request for a run ends here, that of `/runs/{run_id}/events` stays",
    "run.resumed": "another process goes on, or the run does after its pause: what was sent from this number on does "
    "not count, and is told anew",
    "run.finished": "the last event: the answer, as the plain request has it",
    "run.failed": "the last event instead: a problem",
}


class StartedRun(Struct, frozen=True):
    """The ids of a run and its model. Where its caller stands with their limits is told in headers."""

    session_id: str
    message_id: str
    run_id: str
    model: str
    request_id: str
    trace_id: str


def frames(show: ShowAnswer, path: str) -> Frame:
    """Renders the events of one stream; `show` makes the last event's data of the answer."""

    def frame(number: int, event: Event) -> bytes:
        if type(event) is Token:  # as nearly all are
            return b"id: %d\nevent: token\ndata: %b\n\n" % (number, _encode(event))
        return _frame(show, path, number, event)

    return frame


def kept_frames(show: ShowAnswer, path: str) -> KeptFrame:
    """As `frames`, for events as the store has them: most are shown as they are kept."""
    frame = frames(show, path)

    def kept_frame(number: int, line: bytes) -> bytes:
        name, _, data = line.partition(b" ")
        if name in _SHOWN_OTHERWISE:
            return frame(number, decode_event(line))
        return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, name, data)

    return kept_frame


def _frame(show: ShowAnswer, path: str, number: int, event: Event) -> bytes:
    data: Any
    match event:
        case RunStarted():
            data = StartedRun(
                event.session_id, event.message_id, event.run_id, event.model, event.request_id, event.trace_id
            )
        case ApprovalRequired():
            data = pending(event)
        case RunFinished(answer):
            data = show(answer)
        case RunFailed(error):
            data = replace(document(error, path), retry_after_seconds=retry_after_seconds(error))
        case _:
            data = event
    end = END_MARK if isinstance(event, RunFinished | RunFailed) else b""
    return b"id: %d\nevent: %b\ndata: %b\n\n%b" % (number, event.name.encode(), _encode(data), end)


def documented(answer: str, refer: Refer, says: str = STREAMS_THEM) -> dict[str, Any]:
    """The documented response of a route that streams; `answer` refers to the schema of its whole answer."""
    references = _references(answer, refer)
    rows = [
        f"| `{event}` | [{reference.rpartition('/')[2]}]({reference}) | {_SAYS.get(event, '')} |"
        for event, reference in references.items()
    ]
    lines = [
        f"{says} Each has an `id` that counts from 1, an `event` and JSON as its `data`; lines that begin with a "
        "colon are to be ignored; the last line of a complete stream is `data: [DONE]`.",
        "",
        "| event | data | |",
        "|---|---|---|",
        *rows,
    ]
    return {
        "description": "\n".join(lines),
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
        "x-events": {event: {"$ref": reference} for event, reference in references.items()},
    }


def _references(answer: str, refer: Refer) -> dict[str, str]:
    """The schema of each event's data."""
    references = {}
    for kind in get_args(Event):
        if kind is RunFinished:
            references[kind.name] = answer
        elif kind is RunFailed:
            references[kind.name] = refer(Problem, "Problem")
        elif kind is ApprovalRequired:
            references[kind.name] = refer(PendingApproval, "PendingApproval")
        else:
            references[kind.name] = refer(StartedRun if kind is RunStarted else kind, f"{kind.__name__}Event")
    return references

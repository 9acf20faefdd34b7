"""The events of a stream in the OpenAPI document, from the types that are sent."""

from typing import Any

import msgspec
from fastapi import FastAPI

from app.api.document import amend
from app.runs.events import Reasoning, RunStarted, Token, ToolFinished, ToolStarted, UsageReported

_REFERENCE = "#/components/schemas/"
_SENT = (RunStarted, Token, Reasoning, ToolStarted, ToolFinished, UsageReported)
_SAYS = {
    "run.started": "the first event: the run's ids and its model",
    "token": "a piece of the answer",
    "reasoning": "a piece of what the model thinks before it answers; no part of the answer",
    "tool.started": "a tool is called",
    "tool.finished": "what came of it",
    "usage": "what one model call used",
    "run.finished": "the last event: the answer, as the plain request has it",
    "run.failed": "the last event instead: a problem",
}


def stream_response(answer: str, says: str = "The run's events, as server-sent events.") -> dict[str, Any]:
    """The documented response of a route that streams; `answer` is the schema of its whole answer."""
    schemas = {kind.name: f"{kind.__name__}Event" for kind in _SENT} | {"run.finished": answer, "run.failed": "Problem"}
    rows = [
        f"| `{event}` | [{schemas[event]}]({_REFERENCE}{schemas[event]}) | {text} |" for event, text in _SAYS.items()
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
        "x-events": {event: {"$ref": _REFERENCE + name} for event, name in schemas.items()},
    }


def describe_events(app: FastAPI) -> None:
    """Add the events' schemas to the document of `app`."""

    def change(schema: dict[str, Any]) -> None:
        known = schema["components"]["schemas"]
        _, made = msgspec.json.schema_components(_SENT, ref_template=_REFERENCE + "{name}")
        del made["RunStarted"]["properties"]["headers"]  # they are headers
        for kind in _SENT:
            event = made.pop(kind.__name__)
            event["required"] = list(event["properties"])  # defaults are sent too
            known[f"{kind.__name__}Event"] = event | {"title": f"{kind.__name__}Event"}
        for name, other in made.items():
            known.setdefault(name, other)

    amend(app, change)

"""Tools and their calls on the wire: what models are told, and what they write, whose ids may be missing."""

from functools import lru_cache
from typing import Any
from uuid import uuid4

import msgspec

from app.messages import ToolCall
from app.models.protocol import ToolSpec

_KEPT = 256
_OBJECT = msgspec.json.Decoder(dict[str, Any])


@lru_cache(_KEPT)
def functions(tools: tuple[ToolSpec, ...]) -> msgspec.Raw:
    """The tools as OpenAI's and Ollama's APIs take them, in JSON."""
    return msgspec.Raw(
        msgspec.json.encode(
            [
                {
                    "type": "function",
                    "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
                }
                for tool in tools
            ]
        )
    )


def call_with_json(call_id: str | None, name: str, arguments: str) -> ToolCall:
    """A call whose arguments are text. None at all are no arguments; what is not an object is `malformed`."""
    try:
        parsed = _OBJECT.decode(arguments) if arguments.strip() else {}
    except msgspec.MsgspecError:
        return ToolCall(call_id or new_id(), name, {}, arguments)
    return ToolCall(call_id or new_id(), name, parsed)


def new_id() -> str:
    """For a call that the server gave none."""
    return f"call_{uuid4().hex}"

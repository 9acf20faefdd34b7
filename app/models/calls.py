"""Tool calls as models write them: arguments that are to be JSON, ids that may be missing."""

from typing import Any
from uuid import uuid4

import msgspec

from app.messages import ToolCall

_OBJECT = msgspec.json.Decoder(dict[str, Any])


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

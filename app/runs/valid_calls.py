"""Tool calls as every provider takes them back: names of a small alphabet, ids that no two calls share.

What models write is not always so: names with spaces or a dozen words, the same id for each call.
"""

import re
from collections.abc import Collection, Iterable, Sequence

from msgspec.structs import replace

from app.messages import AssistantMessage, Extras, Message, ToolCall, ToolMessage
from app.models.providers.tool_calls import valid_name

_ID_CHARS = 40  # OpenAI takes so many
_ID = re.compile(rf"[A-Za-z0-9_.:-]{{1,{_ID_CHARS}}}").fullmatch  # some models want `functions.name:number`
_NOT_STRICT = re.compile(r"[^A-Za-z0-9_-]")


def used_ids(messages: Iterable[Message]) -> set[str]:
    """The ids of all calls so far, as the strictest provider sees them."""
    return {
        _strict(call.id) for message in messages if isinstance(message, AssistantMessage) for call in message.tool_calls
    }


def valid_calls(
    calls: Sequence[ToolCall], extras: Extras | None, tools: Collection[str], used: set[str]
) -> tuple[tuple[ToolCall, ...], Extras | None]:
    """A model's calls, and what belongs to them, with names and ids that can be sent back."""
    named = [
        call if call.name == (name := valid_name(call.name, tools)) else replace(call, name=name) for call in calls
    ]
    return with_valid_ids(named, extras, used)


def with_valid_ids(
    calls: Sequence[ToolCall], extras: Extras | None, used: set[str]
) -> tuple[tuple[ToolCall, ...], Extras | None]:
    """The calls and what belongs to them, with new ids where theirs are in use or cannot be. Adds them to `used`."""
    ids = [_free_id(call.id, used) for call in calls]
    if all(id_ == call.id for id_, call in zip(ids, calls, strict=True)):
        return tuple(calls), extras
    renamed = tuple([replace(call, id=id_) for id_, call in zip(ids, calls, strict=True)])
    if extras is not None:
        by_call = {id_: extras.calls[call.id] for id_, call in zip(ids, calls, strict=True) if call.id in extras.calls}
        extras = replace(extras, calls=by_call)
    return renamed, extras


def _free_id(call_id: str, used: set[str]) -> str:
    """The id, or one made of it: the same for the same conversation, whose beginning providers keep in their caches."""
    base = free = call_id if _ID(call_id) else _strict(call_id)[:_ID_CHARS] or "call"
    number = 1
    while _strict(free) in used:
        number += 1
        free = f"{base[: _ID_CHARS - 6]}_{number}"
    used.add(_strict(free))
    return free


def with_distinct_ids(messages: tuple[Message, ...], used: set[str]) -> tuple[Message, ...]:
    """A turn's messages whose calls have no id that is in use. Adds theirs to `used`."""
    if len(messages) == 2:  # no calls
        return messages
    distinct: list[Message] = []
    ids: dict[str, str] = {}
    for message in messages:
        match message:
            case AssistantMessage(tool_calls=(_, *_)):
                calls, extras = with_valid_ids(message.tool_calls, message.extras, used)
                ids = {old.id: new.id for old, new in zip(message.tool_calls, calls, strict=True)}
                distinct.append(replace(message, tool_calls=calls, extras=extras))
            case ToolMessage():
                distinct.append(replace(message, tool_call_id=ids[message.tool_call_id]))
            case _:
                distinct.append(message)
    return tuple(distinct)


def _strict(call_id: str) -> str:
    """As Anthropic's API is given it."""
    return _NOT_STRICT.sub("_", call_id)

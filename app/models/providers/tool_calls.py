"""Tools and their calls on the wire: what models are told, and what they write, often not as it should be."""

import json
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any
from uuid import uuid4

import msgspec

from app.messages import ToolCall
from app.models.protocol import ToolSpec

MAX_DEPTH = 100
"""Of arguments: what is nested deeper cannot be kept and read again everywhere."""
_KEPT = 256
_JSON = msgspec.json.Decoder()
_VALID_ID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
"""Taken by every provider: OpenAI takes at most 40 characters, Anthropic and Bedrock no other ones."""

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]+")
_MAX_NAME = 64
_NO_ARGUMENTS = frozenset({"", "null", "None", "nil", "undefined", "[]", "{}"})
_SCANNER = json.JSONDecoder()
_KNOWN_IN_SCHEMAS = ("type", "description", "required", "enum")


@lru_cache(_KEPT)
def functions(tools: tuple[ToolSpec, ...], few_words: bool = False) -> msgspec.Raw:
    """The tools as OpenAI's and Ollama's APIs take them, in JSON. With `few_words` their schemas say types only."""
    return msgspec.Raw(
        msgspec.json.encode(
            [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": _in_few_words(tool.parameters) if few_words else tool.parameters,
                    },
                }
                for tool in tools
            ]
        )
    )


def _in_few_words(schema: Any) -> Any:
    """A JSON schema with what every server knows of it. Of alternatives the first that is not null is left."""
    if not isinstance(schema, Mapping):
        return schema
    for choice in schema.get("anyOf") or schema.get("oneOf") or ():
        if choice.get("type") != "null":
            return {**_in_few_words(choice), **({"description": d} if (d := schema.get("description")) else {})}
    kept = {name: schema[name] for name in _KNOWN_IN_SCHEMAS if name in schema}
    if "properties" in schema:
        kept["properties"] = {name: _in_few_words(of) for name, of in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = _in_few_words(schema["items"])
    return kept


def call_with_json(call_id: str | None, name: str, arguments: str, tools: Collection[str] = ()) -> ToolCall:
    """A call of one of the `tools` whose arguments are text. Empty text and `null` are no arguments; anything else that
    is not an object, or is nested deeper than MAX_DEPTH, is `malformed`."""
    parsed = parsed_arguments(arguments)
    name = valid_name(name.strip(), tools)
    if parsed is None:
        return ToolCall(call_id or new_id(), name, {}, arguments)
    return ToolCall(call_id or new_id(), name, parsed)


def parsed_arguments(text: str) -> dict[str, Any] | None:
    """The object in a call's arguments, or None. JSON within a JSON string is read."""
    text = text.strip()
    if text in _NO_ARGUMENTS:
        return {}
    try:
        value = _JSON.decode(text)
    except msgspec.MsgspecError:
        value = _repeated(text)
    except RecursionError:
        return None
    if isinstance(value, str):
        return parsed_arguments(value)
    return value if isinstance(value, dict) and not _is_deep(text, value) else None


def _is_deep(text: str, value: Any) -> bool:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        inner = [each.values() if isinstance(each, dict) else each for each in level]
        level = [each for values in inner for each in values if isinstance(each, dict | list)]
    return bool(level)


def _repeated(text: str) -> dict[str, Any] | None:
    """The object in arguments that are written more than once, or after empty ones, as gateways to Anthropic do."""
    found: dict[str, Any] = {}
    place = 0
    while place < len(text):
        try:
            value, place = _SCANNER.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        value = value or {}
        if not isinstance(value, dict) or (found and value and value != found):
            return None
        found = found or value
        place += len(text) - place - len(text[place:].lstrip())
    return found


def valid_name(name: str, tools: Collection[str] = ()) -> str:
    """The tool meant by a name such as `functions.calculator`, else the name without what no API takes."""
    if name in tools:
        return name
    parts = [part for part in _NOT_IN_NAMES.split(name) if part]
    meant = [tool for tool in tools if any(part.lower() == tool.lower() for part in parts)]
    return meant[0] if len(meant) == 1 else "_".join(parts)[:_MAX_NAME] or "unnamed"


def valid_id(call_id: str, taken: Collection[str]) -> str:
    """The call's own id if every provider takes it and no other call has it, else a new one."""
    return call_id if _VALID_ID.fullmatch(call_id) and call_id not in taken else new_id()


def new_id() -> str:
    """An id for a call that has none."""
    return f"call_{uuid4().hex}"

"""A tool as its server defines it, the hash that pins it, and whether it is fit to be shown to a model."""

import unicodedata
from collections.abc import Iterator
from typing import Any

from msgspec import Struct, structs

from app.audit.canonical import fingerprint
from app.tools.checks import NAME
from app.tools.mcp.schema import usable_schema

MAX_DESCRIPTION_CHARS = 4_000
MAX_TITLE_CHARS = 200
_JOINER = "\u200d"  # of emoji
_HIDDEN = ("Cf", "Co", "Cs", "Cn")


class Definition(Struct, frozen=True, omit_defaults=True):
    name: str
    """The server's own."""
    title: str = ""
    description: str = ""
    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None
    """The server's hints, such as that a tool only reads. Shown to whoever approves it; nothing follows from them."""

    @property
    def digest(self) -> str:
        return f"sha256:{fingerprint(structs.asdict(self))}"


def tool_name(server: str, tool: str) -> str:
    """What models and agents' files call it: `server__tool`, in the characters that every provider takes."""
    plain = "".join(char if NAME.fullmatch(char) else "_" for char in tool)
    return f"{server}__{plain}"


def problem_of(definition: Definition, server: str) -> str | None:
    """Why the tool cannot be used, whoever approves it; None if it can."""
    if not definition.name or not NAME.fullmatch(tool_name(server, definition.name)):
        return "its name is empty or, with the server's, longer than 64 characters"
    if len(definition.title) > MAX_TITLE_CHARS:
        return f"its title has more than {MAX_TITLE_CHARS} characters"
    if len(definition.description) > MAX_DESCRIPTION_CHARS:
        return f"its description has more than {MAX_DESCRIPTION_CHARS} characters"
    try:
        usable_schema(definition.input_schema)
        if any(_is_hidden(char) for text in _texts(structs.asdict(definition)) for char in text):
            return "it holds invisible characters"
    except ValueError as error:
        return f"its schema {error}"
    except RecursionError:
        return "it is nested too deep"
    return None


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


def _is_hidden(char: str) -> bool:
    if char.isascii():
        return not (char.isprintable() or char in "\n\t\r")
    return unicodedata.category(char) in _HIDDEN and char != _JOINER

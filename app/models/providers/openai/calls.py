"""The tool calls of an answer, put together from pieces whose indexes and ids servers give as they like."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from app.messages import ToolCall
from app.models.protocol import ToolSpec
from app.models.providers.openai.wire import Call
from app.models.providers.tool_calls import call_with_json, parsed_arguments, valid_id


class _Parts:
    """A call whose arguments are still coming."""

    __slots__ = ("arguments", "fields", "id", "index", "name")

    def __init__(self, index: int | None) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.fields: dict[str, Any] = {}

    @property
    def text(self) -> str:
        return "".join(self.arguments)

    def is_whole(self) -> bool:
        """Whether its arguments could be all: nothing may follow them."""
        text = self.text
        return bool(text.strip()) and parsed_arguments(text) is not None


class Calls(Struct):
    """`tools` are those that the model was told of."""

    _tools: Sequence[ToolSpec]
    _parts: list[_Parts] = []
    bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, piece: Call) -> str:
        """Take in a whole call or a piece of one. Returns the text of arguments in it."""
        function = piece.function or piece
        name = function.name or ""
        arguments = function.arguments or ""
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        parts = self._find(piece, name, arguments)
        if piece.id and not parts.id:
            parts.id = piece.id
        if name and name != parts.name:
            parts.name += name
        if arguments:
            parts.arguments.append(arguments)
            self.bytes += len(arguments)
        if piece.extra_content:
            parts.fields["extra_content"] = piece.extra_content
        if piece.provider_specific_fields:
            parts.fields["provider_specific_fields"] = piece.provider_specific_fields
        return arguments

    def are_whole(self) -> bool:
        """Whether there are calls, and nothing is missing in any."""
        return bool(self._parts) and all(parts.name.strip() and parts.is_whole() for parts in self._parts)

    def end(self, taken: Iterable[str]) -> tuple[tuple[ToolCall, ...], dict[str, dict[str, Any]]]:
        """The calls, and by their ids what their provider wants back with them. An id that is in use or that another
        provider would not take is replaced; calls without a name are none."""
        used = set(taken)
        calls, fields = [], {}
        for parts in self._named():
            call_id = valid_id(parts.id, used)
            if parts.id and parts.id != call_id and parts.id not in used:
                parts.fields["id"] = parts.id
            used.update((call_id, parts.id))
            calls.append(call_with_json(call_id, parts.name, parts.text, self._names()))
            if parts.fields:
                fields[call_id] = parts.fields
        return tuple(calls), fields

    def _names(self) -> Collection[str]:
        return {tool.name for tool in self._tools}

    def _named(self) -> list[_Parts]:
        """Pieces without a name belong to the call before them, if they complete it."""
        named: list[_Parts] = []
        for parts in self._parts:
            if parts.name.strip():
                named.append(parts)
            elif named and parts.arguments and not named[-1].is_whole():
                named[-1].arguments += parts.arguments
        return named

    def _find(self, piece: Call, name: str, arguments: str) -> _Parts:
        """The call that a piece belongs to, or a new one. Some servers give every call the index 0, repeat the id or
        the name in each piece, or give neither index nor id."""
        same = self._of_same_id(piece) if piece.id else self._of_same_index(piece)
        if same is not None and not self._begins_another(same, piece, name, arguments):
            return same
        self._parts.append(_Parts(piece.index))
        return self._parts[-1]

    def _of_same_id(self, piece: Call) -> _Parts | None:
        for parts in reversed(self._parts):
            if piece.index is None or piece.index == parts.index:
                if parts.id == piece.id:
                    return parts
                if not parts.id and piece.index is not None:
                    return parts
        return None

    def _of_same_index(self, piece: Call) -> _Parts | None:
        if piece.index is None:
            return self._parts[-1] if self._parts else None
        return next((parts for parts in reversed(self._parts) if parts.index == piece.index), None)

    def _begins_another(self, parts: _Parts, piece: Call, name: str, arguments: str) -> bool:
        """Whether a piece that fits a call by its index or id is another call all the same: it has a name again."""
        if not name or not parts.name:
            return False
        if name != parts.name:
            return parts.name + name not in self._names() or bool(parts.arguments)
        if not arguments.strip() or not parts.is_whole():
            return False
        return not piece.id or parsed_arguments(arguments) is not None

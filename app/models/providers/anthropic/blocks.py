"""The blocks that an answer of Anthropic's consists of, and how those that are not ours to read go back in place."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from app.messages import AssistantMessage, Extras, ToolCall, size_of_text
from app.models.providers.tool_calls import call_with_json, valid_id, valid_name

_OURS = frozenset({"text", "tool_use"})
_TEXT_FIELDS = {"text": "text", "thinking": "thinking"}
"""By type, the field that a block's deltas add to; those of other types add to `input`."""


class Block:
    """A block that may still be coming. `fields` are those that it began with."""

    __slots__ = ("closed", "fields", "kind", "pieces")

    def __init__(self, fields: dict[str, Any], *, closed: bool = False) -> None:
        self.kind = str(fields.get("type") or "")
        self.closed = closed
        self.pieces: list[str] = []
        self.fields = fields

    @property
    def begins_with(self) -> str:
        """The text that it has from the beginning."""
        return _text_in(self.fields, _TEXT_FIELDS.get(self.kind, ""))

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def bytes(self) -> int:
        return sum(size_of_text(piece) for piece in self.pieces)

    def call(self, call_id: str, tools: Collection[str]) -> ToolCall:
        """The call of one of the `tools` that this block is, with an id that no other has. Deltas count for more than
        the beginning."""
        given = self.fields.get("input") or {}
        if isinstance(given, dict) and not self.pieces:
            return ToolCall(call_id, valid_name(self.name, tools), given)
        text = self.text or (given if isinstance(given, str) else msgspec.json.encode(given).decode())
        return call_with_json(call_id, self.name, text, tools)

    @property
    def id(self) -> str:
        return _text_in(self.fields, "id")

    @property
    def name(self) -> str:
        return _text_in(self.fields, "name")

    def same_as(self, other: "Block") -> bool:
        """Whether the other begins the same block once more."""
        return (self.kind, self.id, self.name) == (other.kind, other.id, other.name)

    def whole(self) -> dict[str, Any]:
        """As the API takes it back."""
        if field := _TEXT_FIELDS.get(self.kind):
            return {**self.fields, field: self.text}
        if not self.pieces:
            return self.fields
        return {**self.fields, "input": call_with_json(None, "", self.text).arguments}

    @property
    def lost(self) -> bool:
        """Whether it was cut: thinking is worth nothing without its signature, where there are any, nor half an input.
        Not all servers close their blocks."""
        if self.closed or self.kind in _OURS or "data" in self.fields:
            return False
        return self.kind != "thinking" or self.fields.get("signature") == ""


def _text_in(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def calls_in(blocks: Iterable[Block], taken: Iterable[str] = (), tools: Collection[str] = ()) -> dict[int, ToolCall]:
    """The calls of `tools` by the place of their block. One without a name is no call; one with an id that is `taken`,
    or that another provider does not take, is given another."""
    calls: dict[int, ToolCall] = {}
    ids = set(taken)
    for place, block in enumerate(blocks):
        if block.kind == "tool_use" and block.name:
            call_id = valid_id(block.id, ids)
            ids.add(call_id)
            calls[place] = block.call(call_id, tools)
    return calls


def extras_of(blocks: list[Block], calls: Mapping[int, ToolCall], ref: str) -> Extras | None:
    """What has to go back beside text and calls: thinking, and blocks of the provider's own tools, in their places.

    A text is kept as its length, a call as its id: both are in the message.
    """
    if all(block.kind in _OURS for block in blocks):
        return None
    layout: list[dict[str, Any]] = []
    for place, block in enumerate(blocks):
        if block.kind == "text":
            layout.append({"type": "text", "chars": sum(map(len, block.pieces))})
        elif call := calls.get(place):
            layout.append({"type": "tool_use", "id": call.id})
        elif block.kind != "tool_use" and not block.lost:
            layout.append(block.whole())
    return Extras(ref, {"content": layout})


def placed(message: AssistantMessage, calls: Mapping[str, dict[str, Any]], ref: str) -> list[dict[str, Any]]:
    """The message's blocks, with those of its extras in place if the model `ref` wrote them."""
    extras = message.extras
    layout = extras.message.get("content", ()) if extras is not None and extras.origin == ref else ()
    if not layout:
        return [*_texts(message.content), *calls.values()]
    blocks = list(_laid_out(message.content, dict(calls), layout))
    return blocks if any(block["type"] in _OURS for block in blocks) else []  # thinking alone is refused


def _laid_out(text: str, calls: dict[str, Any], layout: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A text that was shortened since then stands after what is not ours."""
    fits = sum(item["chars"] for item in layout if item["type"] == "text") == len(text)
    for item in layout:
        if item["type"] == "text":
            if fits:
                yield from _texts(text[: item["chars"]])
                text = text[item["chars"] :]
        elif item["type"] == "tool_use":
            if not fits:
                yield from _texts(text)
                text = ""
            if call := calls.pop(item["id"], None):
                yield call
        else:
            yield item
    yield from _texts(text)
    yield from calls.values()


def _texts(text: str) -> Iterator[dict[str, Any]]:
    if text.strip():
        yield {"type": "text", "text": text}

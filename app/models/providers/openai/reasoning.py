"""The reasoning in an answer: its text to be shown, and its fields to be sent back to the model that wrote it."""

from collections.abc import Mapping
from typing import Any

from app.models.providers.openai.wire import Delta

_JOINED = ("text", "summary", "data", "thinking", "signature")
"""Fields of a detail that come in pieces."""


class Reasoning:
    """Its fields have to come back as they were: OpenRouter, LiteLLM and Gemini check signatures over them."""

    __slots__ = ("_details", "_fields", "_parts", "_texts", "bytes")

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._details: dict[str, list[dict[str, Any]]] = {}
        self._fields: dict[str, Any] = {}
        self._parts: list[str] = []  # of Mistral's content
        self.bytes = 0

    def __bool__(self) -> bool:
        return bool(self._texts or self._details or self._parts)

    def add(self, delta: Delta) -> str:
        """Take in what a message, or a piece of it, has. Returns the text of the reasoning in it."""
        shown = ""
        for name in ("reasoning_content", "reasoning"):
            if text := getattr(delta, name):
                self._texts.setdefault(name, []).append(text)
                shown = shown or text
        for name in ("reasoning_details", "thinking_blocks"):
            for detail in getattr(delta, name) or ():
                text = self._add_detail(self._details.setdefault(name, []), detail)
                shown = shown or text
        if delta.thinking:
            self._parts.append(delta.thinking)
            shown = shown or delta.thinking
        if delta.extra_content:
            self._fields["extra_content"] = delta.extra_content
        return shown

    def fields(self) -> Mapping[str, Any]:
        """The fields of the message, whole."""
        fields = {**self._fields, **self._details}
        fields.update({name: "".join(texts) for name, texts in self._texts.items()})
        if self._parts:
            fields["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": "".join(self._parts)}]}]
        return fields

    def _add_detail(self, details: list[dict[str, Any]], piece: dict[str, Any]) -> str:
        """Join a piece to the detail that it goes on with: that of its type and index, or without an index the last."""
        same = self._same(details, piece)
        if same is None:
            details.append(dict(piece))
        else:
            for name, value in piece.items():
                before = same.get(name)
                if name in _JOINED and isinstance(before, str) and isinstance(value, str):
                    same[name] = before + value
                elif value is not None:
                    same[name] = value
        shown = piece.get("text") or piece.get("summary") or piece.get("thinking")
        return shown if isinstance(shown, str) else ""

    def _same(self, details: list[dict[str, Any]], piece: dict[str, Any]) -> dict[str, Any] | None:
        kind, index = piece.get("type"), piece.get("index")
        if index is not None:
            of_index = (d for d in reversed(details) if d.get("type") == kind and d.get("index") == index)
            return next(of_index, None)
        last = details[-1] if details else None
        if last is None or last.get("type") != kind or kind == "reasoning.encrypted" or last.get("signature"):
            return None
        return None if piece.get("id") and piece["id"] != last.get("id") else last

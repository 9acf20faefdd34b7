"""Validation errors as one InvalidRequest of bounded size, without what was sent."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.errors import InvalidRequest

MAX_NAMED = 20
"""Maximum number of fields that one problem document names."""

MAX_NAME_CHARS = 64
"""Maximum length of a field's name in a problem document: clients choose the names of unknown fields."""


def invalid(items: Sequence[Mapping[str, Any]], left_out: int = 0) -> InvalidRequest:
    """Pydantic's errors as ours: the first MAX_NAMED by name, the rest and the `left_out` ones by their number."""
    errors = [{"field": _name(item["loc"]), "problem": printable(item["msg"])} for item in items[:MAX_NAMED]]
    return InvalidRequest(
        "; ".join(f"{item['field']}: {item['problem']}" for item in errors),
        errors,
        more=len(items) - len(errors) + left_out,
    )


def _name(loc: Sequence[Any]) -> str:
    """The field's path, cut part by part so that a long key is not copied whole."""
    path = ".".join(part[: MAX_NAME_CHARS + 1] if isinstance(part, str) else str(part) for part in loc)
    return printable(path, MAX_NAME_CHARS) or "body"


def printable(text: str, max_chars: int | None = None) -> str:
    """`text` with what cannot be printed as U+FFFD, and if it is longer its first `max_chars` characters."""
    text = text[:max_chars]
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)

"""A tool's return value as text for a model and as JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic_core import to_json, to_jsonable_python

from app.redaction.redactor import Redactor

MAX_DEPTH = 100


@dataclass(frozen=True, slots=True)
class Output:
    """`text` is for the model, `result` the JSON value behind it; if it was cut, the text."""

    text: str
    result: Any


def render(value: Any, max_chars: int, redactor: Redactor | None = None) -> Output:
    """Strings unchanged, everything else as JSON, without secrets, cut to `max_chars` with a note of the cut.

    NUL and lone surrogates become U+FFFD, bytes are read as UTF-8, NaN and the infinities become strings.
    Raises ValueError or TypeError for what has no JSON form.
    """
    if isinstance(value, str):
        text = cut(value if redactor is None else redactor.text(value), max_chars)
        return Output(text, text)
    result = _jsonable(value, 0)
    if redactor is not None:
        result = redactor.value(result)
    text = result if isinstance(result, str) else to_json(result).decode()
    if len(text) <= max_chars:
        return Output(text, result)
    text = cut(text, max_chars)
    return Output(text, text)


def cut(text: str, max_chars: int) -> str:
    """The clean text; of a longer one, its beginning and a note of the original length."""
    if len(text) <= max_chars:
        return clean(text)
    return f"{clean(text[:max_chars])}\n[cut: the first {max_chars} of {len(text)} characters]"


def clean(text: str) -> str:
    """The text with U+FFFD for NUL and for surrogates, which have no UTF-8 form."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _jsonable(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep, or contains itself")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(str.__str__(value))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return clean(bytes(value).decode(errors="replace"))
    if isinstance(value, Mapping):
        return {_key(key, depth): _jsonable(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item, depth + 1) for item in value]
    return _jsonable(to_jsonable_python(value, fallback=msgspec.to_builtins), depth + 1)


def _key(key: Any, depth: int) -> str:
    key = _jsonable(key, depth + 1)
    return key if isinstance(key, str) else to_json(key).decode()

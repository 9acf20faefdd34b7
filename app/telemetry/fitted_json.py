"""JSON of what others have said: without secrets, and cut to a size, visibly."""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from app.telemetry.scrubbing import GONE, without_secrets

MESSAGE_BYTES = 8 * 1024
"""Of one message as JSON: its strings are cut until it fits."""

_CHUNK = 4 * MESSAGE_BYTES  # of a text that is looked through for secrets
_TAIL = 4 * 1024  # of such a chunk: it may end within a secret
_MINIMUM = 32  # bytes that a string is cut to at least


def fitted(value: object) -> str:
    """The value as JSON of at most MESSAGE_BYTES, without secrets; what is cut says so."""
    cut = MESSAGE_BYTES
    while cut >= _MINIMUM:
        encoded = msgspec.json.encode(_shown(value, cut))
        if len(encoded) <= MESSAGE_BYTES:
            return encoded.decode()
        cut = cut * MESSAGE_BYTES // len(encoded) - _MINIMUM
    note = f"… {len(encoded)} bytes"  # of very many small values
    if isinstance(value, dict) and "parts" in value:
        return fitted({**value, "parts": [{"type": "text", "content": note}]})
    return msgspec.json.encode(note).decode()


def _shown(value: object, cut: int) -> object:
    if isinstance(value, str):
        return _cut(value, cut)
    if isinstance(value, Mapping):
        return {
            _cut(name, cut): GONE if isinstance(each, str) and _is_secret(name) else _shown(each, cut)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown(each, cut) for each in value]
    return value


@lru_cache(maxsize=512)
def _is_secret(name: str) -> bool:
    """Whether what is called so is taken out of any text."""
    example = f"{name}=example"
    return without_secrets(example) != example


def _cut(text: str, size: int) -> str:
    chunk = text[:_CHUNK]
    shown = without_secrets(chunk)
    if len(chunk) < len(text):
        shown = shown[: max(len(shown) - _TAIL, 0)]
    encoded = shown.encode("utf-8", "replace")
    if len(encoded) <= size and len(chunk) == len(text):
        return encoded.decode()
    return f"{encoded[:size].decode('utf-8', 'ignore')}… {len(text)} characters"

"""Checks the media type of a body: JSON in UTF-8, or JSON lines where a route takes them; not compressed."""

import re
from collections.abc import Mapping

from app.errors import UnsupportedMediaType

_JSON = re.compile(rb"application/([a-z0-9.-]+\+)?json\s*(;.*)?", re.IGNORECASE).fullmatch
_LINES = re.compile(rb"application/(x-)?(jsonl|ndjson|jsonlines)\s*(;.*)?", re.IGNORECASE).fullmatch
JSON_LINES = "application/jsonl"
_CHARSET = re.compile(rb";\s*charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE).search
_TAKEN_CHARSETS = frozenset({b"", b"utf-8", b"utf8", b"us-ascii"})
_IDENTITY = frozenset({b"", b"identity"})


def is_json_lines(headers: Mapping[bytes, bytes]) -> bool:
    return _LINES(headers.get(b"content-type", b"")) is not None


def check_media_type(headers: Mapping[bytes, bytes], *, lines: bool = False) -> None:
    """Raises UnsupportedMediaType. `lines`: JSON lines are taken as well."""
    content_type = headers.get(b"content-type", b"")
    if content_type != b"application/json":
        _check_type(content_type, lines=lines)
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in _IDENTITY:
        raise UnsupportedMediaType(
            "The body has a Content-Encoding, and none is understood. Send it uncompressed.",
            {"Accept-Encoding": "identity"},
        )


def _check_type(content_type: bytes, *, lines: bool) -> None:
    if not (_JSON(content_type) or (lines and _LINES(content_type))):
        either = f", or JSON lines with `{JSON_LINES}`" if lines else ""
        raise UnsupportedMediaType(f"Send JSON, with the header `Content-Type: application/json`{either}.")
    charset = _CHARSET(content_type)
    if charset and charset[1].lower() not in _TAKEN_CHARSETS:
        raise UnsupportedMediaType("Send JSON in UTF-8, with the header `Content-Type: application/json`.")

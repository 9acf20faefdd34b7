"""Checks the media type of a body: JSON in UTF-8, not compressed."""

import re
from collections.abc import Mapping

from app.errors import UnsupportedMediaType

_JSON = re.compile(rb"application/([a-z0-9.-]+\+)?json\s*(;.*)?", re.IGNORECASE).fullmatch
_CHARSET = re.compile(rb";\s*charset\s*=\s*\"?([^\s\";]*)", re.IGNORECASE).search
_TAKEN_CHARSETS = frozenset({b"", b"utf-8", b"utf8", b"us-ascii"})
_IDENTITY = frozenset({b"", b"identity"})


def check_media_type(headers: Mapping[bytes, bytes]) -> None:
    """Raises UnsupportedMediaType."""
    content_type = headers.get(b"content-type", b"")
    if content_type != b"application/json":
        _check_type(content_type)
    encoding = headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in _IDENTITY:
        raise UnsupportedMediaType(
            "The body has a Content-Encoding, and none is understood. Send it uncompressed.",
            {"Accept-Encoding": "identity"},
        )


def _check_type(content_type: bytes) -> None:
    if not _JSON(content_type):
        raise UnsupportedMediaType("Send JSON, with the header `Content-Type: application/json`.")
    charset = _CHARSET(content_type)
    if charset and charset[1].lower() not in _TAKEN_CHARSETS:
        raise UnsupportedMediaType("Send JSON in UTF-8, with the header `Content-Type: application/json`.")

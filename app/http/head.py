"""The head of a request: what the parser lets through and HTTP/1.1 does not (RFC 9112)."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httptools

from app.errors import AppError, HeadTooLarge, MalformedRequest
from app.http.connections import Bounds

Headers = Sequence[tuple[bytes, bytes]]

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*").fullmatch
_CHECKED = frozenset({b"host", b"transfer-encoding", b"expect"})
_KEPT_URLS, _KEPT_BYTES = 256, 64  # whose parts are known: most requests ask for a few short ones
_LINE_BYTES = 4  # of a header beside its name and value


def check(method: bytes, version: str, headers: Headers) -> bool:
    """Checks a head; returns True if the client waits for `100 Continue`. Raises MalformedRequest."""
    if version not in ("1.1", "1.0"):
        raise MalformedRequest(f"This is HTTP/{version}; the service speaks HTTP/1.1.")
    if method == b"CONNECT":
        raise MalformedRequest("This is no proxy.")
    hosts = 0
    expects = False
    for name, value in headers:
        if name not in _CHECKED:
            continue
        if name == b"host":
            hosts += 1
            if hosts > 1 or not _is_host(value):
                raise MalformedRequest("The header Host must be given once, with a host's name.")
        elif name == b"transfer-encoding":
            if version == "1.0" or value.lower() != b"chunked":
                raise MalformedRequest("The only Transfer-Encoding is `chunked`, in HTTP/1.1.")
        elif name == b"expect":
            expects = value.lower() == b"100-continue"
    if not hosts and version == "1.1":
        raise MalformedRequest("The header Host is missing.")
    return expects


def _is_host(value: bytes) -> bool:
    return (_HOST if len(value) > _KEPT_BYTES else _kept_host)(value) is not None


_kept_host = lru_cache(_KEPT_URLS)(_HOST)


def check_size(url: bytes, headers: Headers, bounds: Bounds) -> None:
    """Raises HeadTooLarge."""
    if size(url, headers) > bounds.head_bytes or len(headers) > bounds.headers:
        raise too_large(bounds)


def size(url: bytes, headers: Headers) -> int:
    """Bytes."""
    return len(url) + sum(len(name) + len(value) + _LINE_BYTES for name, value in headers)


def too_large(bounds: Bounds) -> HeadTooLarge:
    return HeadTooLarge(f"The request line and headers may have {bounds.head_bytes} bytes and {bounds.headers} lines.")


def locate(scope: Any, url: bytes, root_path: str) -> None:
    """Puts the URL's parts into an ASGI scope. Raises HttpParserError or UnicodeError."""
    find = _parts if len(url) > _KEPT_BYTES else _kept_parts
    path, raw_path, scope["query_string"] = find(url)
    scope["path"] = root_path + path
    scope["raw_path"] = root_path.encode("ascii") + raw_path if root_path else raw_path


def _parts(url: bytes) -> tuple[str, bytes, bytes]:
    parts = httptools.parse_url(url)
    raw_path = parts.path or b"/"
    path = raw_path.decode("ascii")
    return unquote(path) if "%" in path else path, raw_path, parts.query or b""


_kept_parts = lru_cache(_KEPT_URLS)(_parts)


def without_upgrade(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """The head as bytes, without `Upgrade` and its mention in `Connection`."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    for name, value in headers:
        if name == b"connection":
            kept = [option for option in value.split(b",") if option.strip().lower() != b"upgrade"]
            lines.append(b"connection: " + b",".join(kept))
        elif name != b"upgrade":
            lines.append(name + b": " + value)
    return b"\r\n".join([*lines, b"", b""])


def problem_of(parser_error: Exception, data: bytes) -> AppError:
    """The error to answer, in sentences of our own: the parser's may repeat what was sent."""
    if isinstance(parser_error.__context__, AppError):  # raised in one of our callbacks
        return parser_error.__context__
    if data.startswith(b"\x16\x03"):
        return MalformedRequest("This is TLS; the port speaks plain HTTP.")
    if data.startswith(b"PRI * HTTP/2"):
        return MalformedRequest("This is HTTP/2; the port speaks HTTP/1.1.")
    return MalformedRequest("This is not HTTP/1.1.")

"""CORS: which pages of other origins may call, and why a preflight is refused."""

import re
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address
from socket import inet_aton, inet_ntoa
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Scope, Send

from app.api.failures import respond
from app.api.idempotency import REPLAYED
from app.api.prefix import path_of
from app.errors import ConfigurationError, Forbidden
from app.limits.headers import LIMIT_HEADERS
from app.urls import check_host

METHODS = ("GET", "HEAD", "POST", "DELETE")
EXPOSED = ("X-Request-Id", "X-Trace-Id", "X-Request-Latency", "Retry-After", "Location", REPLAYED, *LIMIT_HEADERS)
_ALL = "*"
_OPAQUE = "null"  # what browsers send for pages without an origin, such as files
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SEPARATED = re.compile(r"[;\s]\s*[a-z][a-z0-9+.-]*://", re.IGNORECASE).search
_MISTYPED = re.compile(r"https?[:/\\]", re.IGNORECASE).match
_NO_ORIGIN = "it is not scheme://host:port"
_SCHEMES = {"ws": "http", "wss": "https"}  # of WebSockets, and of the pages that open them
_IS_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]{1,5})?").fullmatch
_REASONS = {
    "origin": "its origin is not one of CORS_ORIGINS",
    "method": f"its method is none of {', '.join(METHODS)}",
    "headers": "it asks for a header that is not allowed",
    "private-network": "it comes from a public page and asks to reach a private network",
}


class CrossOrigin:
    """Answers preflights and adds the headers that a page of another origin needs to read an answer."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        """Raises ConfigurationError for an origin that no browser sends."""
        for origin in origins:
            check_origin(origin)
        self._cors = CORSMiddleware(
            app, allow_origins=origins, allow_methods=METHODS, allow_headers=[_ALL], expose_headers=EXPOSED
        )

    def answer(self, scope: Scope, send: Send) -> tuple[Send, Response | None]:
        """A `send` that adds the headers, or the response to a preflight."""
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            response = self._cors.preflight_response(headers)
            return send, response if response.status_code == 200 else self._refusal(response, path_of(scope))
        return partial(self._cors.send, send=send, request_headers=headers), None

    def _refusal(self, refused: Response, path: str) -> Response:
        """The response with a problem document that names what is at fault; Starlette's has words after a comma."""
        at_fault = bytes(refused.body).decode().removeprefix("Disallowed CORS ").split(", ")
        reasons = " and ".join(_REASONS.get(fault, fault) for fault in at_fault)
        return respond(Forbidden(f"The browser's preflight is refused: {reasons}."), path, {"Vary": "Origin"})


def check_origin(origin: str) -> None:
    """Raises ConfigurationError that says why no browser sends this origin."""
    if origin not in (_ALL, _OPAQUE) and (problem := _problem(origin)):
        shown = "an origin" if "@" in origin else repr(origin)
        raise ConfigurationError(f"CORS_ORIGINS: {shown} can never match: {problem}")


def _problem(origin: str) -> str | None:
    """A browser sends scheme, host and port, in small letters and without the scheme's own port (RFC 6454)."""
    quoted = origin[:1] in ("[", '"', "'") or (origin[-1:] in ("]", '"', "'") and "://[" not in origin)
    if quoted or _SEPARATED(origin):
        return "write the origins with commas between them, without brackets and quotes"
    if _ALL in origin:
        return "`*` stands for all origins and cannot be a part of one; name each origin"
    if origin.lower() == _OPAQUE:
        return f"browsers send small letters; write {_OPAQUE}"
    if "://" not in origin.lstrip(":/"):
        return _NO_ORIGIN if _MISTYPED(origin) else f"it has no scheme; write https://{_host_of(origin)}"
    if origin != origin.lower():
        return f"browsers send small letters; write {origin.lower()}"
    try:
        return _part_problem(origin, urlsplit(origin))
    except ValueError:  # a host or a port that cannot be read
        return _NO_ORIGIN


def _part_problem(origin: str, parts: SplitResult) -> str | None:
    """Raises ValueError for a host or a port that cannot be read."""
    if parts.username is not None:
        return "it holds a user name; leave it out"
    if parts.path or parts.query or parts.fragment or origin[-1] in "?#":
        return f"browsers send no path and no slash at the end; write {parts.scheme}://{parts.netloc}"
    if not origin.isascii():
        return "browsers send such a host in its ASCII form, xn--…"
    if not _IS_ORIGIN(origin):
        return _NO_ORIGIN
    if parts.port == 0:
        return "it has port 0, where no page comes from"
    if better := _SCHEMES.get(parts.scheme):
        return f"pages come by {better}; write {better}://{parts.netloc}"
    shown = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    same = f"{parts.scheme}://{_plain(parts.hostname or '')}{shown}"
    return None if same == origin else f"browsers write it as {same}"


def _plain(host: str) -> str:
    """The host as browsers write it. Raises ValueError for what is no host."""
    check_host(host)
    if ":" in host:
        return f"[{ip_address(host)}]"
    return inet_ntoa(inet_aton(host)) if host.rpartition(".")[2].isdecimal() else host


def _host_of(text: str) -> str:
    return text.strip(":/").partition("/")[0]

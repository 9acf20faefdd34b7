"""What a provider's error says of itself, in whichever of the field's JSON shapes it comes.

Only the keys below are read, so that what an error repeats of the request (`input`, `failed_generation`) is left where
it is.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

MAX_CHARS = 4000
_DEPTH = 12

_CODES = ("type", "error_type", "__type", "code", "status", "status_code", "reason", "param")
_WORDS = ("message", "Message", "msg", "detail", "error_description", "error_msg", "status_msg", "title")
_NAMING = ("param", "loc", "field", "parameter")
_NESTED = (
    "error",
    "errors",
    "innererror",
    "external_model_error",
    "metadata",
    "raw",
    "details",
    "base_resp",
    "response",
)
_HTML = re.compile(rb"\s*<(?:!doctype|html|head|body|h1)", re.IGNORECASE)
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)
_BLANKS = re.compile(r"\s+")
_WAIT = re.compile(r"(?:try again|retry) (?:in|after) ([\d.]+) ?(ms|s|m|h)?", re.IGNORECASE)
_DELAY = re.compile(rb'"retryDelay"\s*:\s*"([\d.]+)s"')
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class ErrorBody(NamedTuple):
    """An error in the provider's words. `codes` are its identifiers, as `invalid_request_error`, `names` the parameters
    that it names in fields of their own."""

    codes: tuple[str, ...]
    message: str
    retry_after: float | None = None
    names: frozenset[str] = frozenset()

    @property
    def words(self) -> str:
        """The identifiers and the message in one line."""
        return " ".join([*self.codes, self.message]).strip()

    @property
    def status(self) -> int | None:
        """The HTTP status among the codes, for errors that come with another."""
        return next((int(code) for code in self.codes if code.isdecimal() and 400 <= int(code) < 600), None)


def read_error(body: bytes) -> ErrorBody:
    """The error in a body, or in an event of a stream; a body that is no JSON is its own message."""
    said = _decoded(body)
    if said is None:
        text = _plain(body)
        return ErrorBody((), text, _wait(text, body))
    texts: dict[str, dict[str, None]] = {"code": {}, "message": {}, "name": {}}
    for kind, text in _walk(said, _DEPTH):
        texts[kind][text] = None
    message = _BLANKS.sub(" ", ": ".join(texts["message"])).strip()[:MAX_CHARS]
    return ErrorBody(tuple(texts["code"]), message, _wait(message, body), frozenset(texts["name"]))


def _decoded(body: bytes) -> Any:
    """None if this is no JSON. An error that is sent as an event is unwrapped."""
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if body.startswith((b"data:", b"event:")):
        body = next((line[5:].strip() for line in body.splitlines() if line.startswith(b"data:")), b"")
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _walk(said: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Codes, messages and names of parameters, in the order in which they stand."""
    match said:
        case _ if depth == 0:
            return
        case str(text) if (inner := _in_text(text)) is not None:
            yield from _walk(inner, depth - 1)
        case str(text) if text.strip():
            yield "message", text.strip()
        case list(items):
            for item in items[:5]:
                yield from _walk(item, depth - 1)
        case {"loc": list(places), "msg": str(problem)}:  # FastAPI's
            yield from _names(said)
            if isinstance(kind := said.get("type"), str):
                yield "code", kind[:100]
            yield "message", f"{'.'.join(str(place) for place in places)}: {problem}"
        case dict(fields):
            yield from _names(fields)
            yield from _of_fields(fields, depth)
        case int(number) if not isinstance(said, bool):
            yield "message", str(number)


def _names(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in _NAMING:
        match fields.get(name):
            case str(path):
                yield "name", path.lower()
            case [*parts]:
                yield "name", ".".join(str(part) for part in parts if part != "body").lower()


def _of_fields(fields: Mapping[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    for name in _CODES:
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and value not in ("", "error"):
            yield "code", str(value)[:100]
    for name in (*_NESTED, *_WORDS):
        if (value := fields.get(name)) is not None:
            yield from _walk(value, depth - 1)


def _in_text(text: str) -> Any:
    """JSON in a text, as gateways pass on what their upstream said: after their own words, too."""
    start = text.find("{")
    if start < 0 or not text.rstrip().endswith("}"):
        return None
    inner = _decoded(text[start:].encode("utf-8", "replace"))
    return [text[:start].strip(" -:"), inner] if inner is not None else None


def _plain(body: bytes) -> str:
    text = body[: 4 * MAX_CHARS].decode("utf-8", "replace")
    if _HTML.match(body):
        text = "a page of HTML: " + _TAGS.sub(" ", text)
    return _BLANKS.sub(" ", text).strip()[:MAX_CHARS]


def _wait(message: str, body: bytes) -> float | None:
    """Seconds until another try, from the words or from Google's RetryInfo."""
    if found := _DELAY.search(body):
        return _seconds(found[1].decode(), "s")
    if said := _WAIT.search(message):
        return _seconds(said[1], (said[2] or "s").lower())
    return None


def _seconds(number: str, unit: str) -> float | None:
    try:
        return float(number) * _UNITS[unit]
    except ValueError:
        return None

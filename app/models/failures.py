"""From what a provider did to the error that a caller meets: one place for all providers."""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec

from app.errors import AppError, ContextTooLong, ModelRateLimited, ModelUnavailable

CAUSE_CHARS = 500

_TOO_LONG = re.compile(
    r"context[ _](?:length|window|size|limit)|maximum model length|prompt is too long|too many tokens",
    re.IGNORECASE,
)
_LIKE_A_KEY = re.compile(r"[\w*.-]{12,}")


def from_status(status: int, headers: Mapping[str, str], body: bytes) -> AppError:
    """The error for an answer that is not 200."""
    words = provider_words(body)
    if status == 413 or (status in (400, 422) and is_too_long(words)):
        return context_too_long()
    cause = f"HTTP {status}: {words}"
    retry_after = retry_after_seconds(headers)
    match status:
        case 429:
            return rate_limited(cause, retry_after)
        case 401 | 402 | 403:
            return unavailable("auth", f"HTTP {status}: {_LIKE_A_KEY.sub('…', words)}")
        case 404:
            return unavailable("not_found", cause)
        case 408 | 504:
            return unavailable("timeout", cause, retry_after)
        case 503 | 529:
            return unavailable("overloaded", cause, retry_after)
        case _ if status >= 500:
            return unavailable("server_error", cause, retry_after)
        case _:
            return unavailable("bad_request", cause)


_STATUSES_OF_CODES = {"invalid_request_error": 400, "rate_limit_exceeded": 429, "rate_limit_error": 429}


def from_answer(body: bytes) -> AppError:
    """The error that is told in an answer of status 200: in its whole body, or in an event of its stream."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = {}
    said = said[0] if isinstance(said, list) and said else said
    error = said.get("error") if isinstance(said, dict) else None
    fields = error if isinstance(error, dict) else said if isinstance(said, dict) else {}
    codes = [str(fields.get(name)) for name in ("code", "type")]
    numbers = [int(code) for code in codes if code.isdecimal() and 400 <= int(code) < 600]
    known = [_STATUSES_OF_CODES[code] for code in codes if code in _STATUSES_OF_CODES]
    return from_status(next(iter(numbers + known), 500), {}, body)


def from_exception(error: aiohttp.ClientError, answering: bool) -> ModelUnavailable:
    """The error for a connection that could not be made, fell silent or broke, `answering` or before."""
    cause = f"{type(error).__name__}: {error}"[:CAUSE_CHARS]
    match error:
        case aiohttp.ConnectionTimeoutError() | aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
            return unavailable("unreachable", cause)
        case aiohttp.ServerTimeoutError():
            return unavailable("timeout", cause)
        case aiohttp.ClientPayloadError():
            return unavailable("cut_stream", cause)
        case aiohttp.ClientConnectionError() if answering:
            return unavailable("cut_stream", cause)
        case aiohttp.ClientConnectionError():
            return unavailable("unreachable", cause)
        case _:
            return unavailable("broken_answer", cause)


_DETAILS = {
    "unreachable": "The model's provider cannot be reached. Try again later.",
    "timeout": "The model's provider did not answer in time. Try again later.",
    "overloaded": "The model's provider is overloaded. Try again later.",
    "server_error": "The model's provider failed. Try again later.",
    "auth": "The model's provider refused this service's credentials, which its operator has to mend.",
    "not_found": "The model's provider does not have this model. Choose another, or tell the operator.",
    "bad_request": "The model's provider refused the request. The operator finds the reason in the log.",
    "broken_answer": "The model's provider sent what cannot be read as an answer. Try again.",
    "cut_stream": "The model's answer broke off before its end. Try again.",
}


def unavailable(
    reason: str, cause: str = "", retry_after: float | None = None, *, detail: str | None = None
) -> ModelUnavailable:
    """`reason` is one of those of ModelUnavailable."""
    return ModelUnavailable(
        detail or _DETAILS[reason], reason=reason, cause=cause[:CAUSE_CHARS], retry_after=retry_after
    )


def rate_limited(cause: str, retry_after: float | None = None) -> ModelRateLimited:
    return ModelRateLimited(
        "The model's provider allows no more requests for now. Try again later.",
        reason="rate_limited",
        cause=cause[:CAUSE_CHARS],
        retry_after=retry_after,
    )


def is_too_long(words: str) -> bool:
    """Whether the provider says that the prompt does not fit."""
    return _TOO_LONG.search(words) is not None


def context_too_long() -> ContextTooLong:
    return ContextTooLong(
        "The conversation does not fit the model's context window. Send a shorter message or start a new session."
    )


def provider_words(body: bytes) -> str:
    """The message of `{"error": {"message": …}}` or `{"error": …}`; else the start of the body."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = None
    match said:
        case {"error": {"message": str(message)} as error}:
            words = " ".join(str(word) for word in (error.get("type"), error.get("code"), message) if word)
        case {"error": str(words)}:
            pass
        case _:
            words = body[:CAUSE_CHARS].decode("utf-8", "replace")
    return words[:CAUSE_CHARS]


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """From `retry-after-ms`, else from `Retry-After` in seconds or as a date; None if none can be read."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    value = headers.get("Retry-After")
    if value is None:
        return None
    if (seconds := _number(value)) is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def _number(value: str | None) -> float | None:
    try:
        number = float(value or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None

"""From what a provider did to the error that a caller meets: one place for all providers."""

import re
import ssl
from collections.abc import Mapping
from typing import TypedDict

import aiohttp

from app.errors import AppError, ContentFiltered, ContextTooLong, ModelError, ModelRateLimited, ModelUnavailable
from app.models.providers.causes import cause_of_answer, cause_of_exception
from app.models.providers.error_body import ErrorBody, read_error
from app.models.providers.error_kinds import STATUSES, is_filtered, is_quota, is_rate_limited, is_too_long, reason_of
from app.models.providers.retry_after import retry_after_seconds
from app.telemetry.scrubbing import without_secrets
from app.tls import certificate_problem

MAX_WORDS_BYTES = 2048
_PERMANENT = frozenset({"auth", "not_found", "bad_request", "quota", "certificate"})
_NO_CONNECTION = frozenset({"unreachable", "dns", "connect_timeout", "tls", "certificate"})
_NO_ANSWER = frozenset({"disconnected", "timeout", "overloaded", "shared_overload", "server_error"})
_DOWN = frozenset({"auth", "quota"}) | _NO_CONNECTION | _NO_ANSWER


def from_status(status: int, headers: Mapping[str, str], body: bytes) -> AppError:
    """The error for an answer that is not 200."""
    said = read_error(body)
    retry_after = retry_after_seconds(headers)
    return _from_told(status, said, said.retry_after if retry_after is None else retry_after, headers)


def from_answer(body: bytes) -> AppError:
    """The error that is told in an answer of status 200: in its whole body, or in an event of its stream."""
    said = read_error(body)
    known = (STATUSES.get(code.lower()) for code in said.codes)
    status = said.status or next((status for status in known if status is not None), 500)
    return _from_told(status, said, said.retry_after, {})


def _from_told(status: int, said: ErrorBody, retry_after: float | None, headers: Mapping[str, str]) -> AppError:
    words = said.words
    told: _Told = {"cause": cause_of_answer(status, said.codes, headers), "words": words, "provider_status": status}
    if is_rate_limited(status, words) and not is_quota(words):
        return _rate_limited(retry_after, **told)
    if status == 402 or is_quota(words):
        return unavailable("quota", **told)
    if status in (400, 403, 422, 451, 500) and is_filtered(words):
        return ContentFiltered(
            "The model's provider refuses this conversation by its rules for content. Change the message, or start "
            "a new session."
        )
    if status == 413 or (status not in (401, 403, 404, 408) and is_too_long(words)):
        return context_too_long()
    return unavailable(reason_of(status, words), retry_after=retry_after, **told)


def from_exception(error: BaseException, answering: bool) -> ModelUnavailable:
    """The error for a connection that could not be made, fell silent or broke, `answering` or before."""
    if problem := certificate_problem(error):
        return unavailable("certificate", problem)
    return unavailable(_reason_of_exception(error, answering), cause_of_exception(error), words=str(error))


def _reason_of_exception(error: BaseException, answering: bool) -> str:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "connect_timeout"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "cut_stream" if answering else "tls"
        case aiohttp.ClientConnectorError() | aiohttp.InvalidURL():
            return "unreachable"
        case TimeoutError():  # aiohttp's ServerTimeoutError is one
            return "timeout"
        case aiohttp.ClientPayloadError():
            return "cut_stream"
        case aiohttp.ClientHttpProxyError():
            return "unreachable"
        case aiohttp.ClientConnectionError() | OSError():
            return "cut_stream" if answering else "disconnected"
        case _:  # bytes that are no HTTP
            return "broken_answer"


def is_alive(error: AppError, model: str | None = None) -> bool:
    """Whether a server whose answer to a probe is this error can answer a chat all the same: it has no such route, or
    allows no more requests for now. If the probe asked for the `model`, one that it says it does not have is down."""
    if not isinstance(error, ModelError) or isinstance(error, ModelRateLimited):
        return True
    if error.reason == "not_found":
        names_model = model is not None and re.search(rf"(?<![\w/-]){re.escape(model)}(?![\w/-])", error.words, re.I)
        return not names_model
    return error.reason not in _DOWN or error.provider_status == 501


_DETAILS = {
    "unreachable": "The model's provider cannot be reached. Try again later.",
    "dns": "The name of the model's provider is not resolved. Try again later.",
    "connect_timeout": "The model's provider takes no connection in time. Try again later.",
    "tls": "No secure connection to the model's provider can be made. Try again later.",
    "disconnected": "The model's provider closed the connection before it answered. Try again later.",
    "timeout": "The model's provider did not answer in time. Try again later.",
    "silent": "The model did not begin to answer in time. Try again later.",
    "stalled": "The model stopped in its answer. Try again.",
    "shared_overload": "The model's provider is overloaded for all who use it. Try again later.",
    "overloaded": "The model's provider is overloaded. Try again later.",
    "server_error": "The model's provider failed. Try again later.",
    "auth": "The model's provider refused this service's credentials, which its operator has to mend.",
    "quota": "This service's account at the model's provider is used up, which its operator has to mend.",
    "certificate": "The model's provider has a certificate that is not accepted, which its operator has to mend.",
    "not_found": "The model's provider does not have this model. Choose another, or tell the operator.",
    "bad_request": "The model's provider refused the request. The operator finds more in the log.",
    "broken_answer": "The model's provider sent what cannot be read as an answer. Try again.",
    "wrong_content_type": "The model's provider sent something else than an answer. Try again later.",
    "cut_stream": "The model's answer broke off before its end. Try again.",
}


class _Told(TypedDict):
    cause: str
    words: str
    provider_status: int


def unavailable(
    reason: str,
    cause: str = "",
    retry_after: float | None = None,
    *,
    words: str = "",
    provider_status: int | None = None,
    detail: str | None = None,
) -> ModelUnavailable:
    """`reason` is one of those of ModelUnavailable. `words`, the provider's, are cut, and without secrets."""
    permanent = reason in _PERMANENT
    return ModelUnavailable(
        detail or _DETAILS[reason],
        reason=reason,
        cause=cause,
        words=_fit(words),
        provider_status=provider_status,
        retry_after=None if permanent else retry_after,
        permanent=permanent,
    )


def _rate_limited(retry_after: float | None, cause: str, words: str, provider_status: int) -> ModelRateLimited:
    return ModelRateLimited(
        "The model's provider allows no more requests for now. Try again later.",
        reason="rate_limited",
        cause=cause,
        words=_fit(words),
        provider_status=provider_status,
        retry_after=retry_after,
    )


def context_too_long() -> ContextTooLong:
    return ContextTooLong(
        "The conversation does not fit the model's context window. Send a shorter message or start a new session."
    )


def _fit(words: str) -> str:
    text = without_secrets(words)
    return text.encode("utf-8", "replace")[:MAX_WORDS_BYTES].decode("utf-8", "ignore")

"""What the log says of a failed call while LOG_CONTENT is false.

Nothing in a provider's own words, which may repeat the request and its keys. Of its codes those are told that consist
of words that errors have.
"""

import re
import ssl
from collections.abc import Iterable, Mapping

import aiohttp

from app.telemetry.scrubbing import holds_secret

MAX_CODES = 3
MAX_CODE_CHARS = 64

_CODE = re.compile(r"[A-Za-z]+(?:(?:[_.-]|\.\d{1,3}\.|\[\d{1,3}\]\.?)[A-Za-z]+)*").fullmatch
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{6,64}").fullmatch
_REQUEST_IDS = ("request-id", "x-request-id")
_TYPES = frozenset({"text/html", "text/xml", "text/css", "application/xml", "application/pdf", "image/png"})

_ERROR_WORDS = """
above access account active admin all allowed api argument arguments array at auth authentication authorization
available backend bad balance base bias billing blocked body boolean budget bytes cache call calls capacity chat choice
code completion completions concurrency concurrent conflict connection content context control count country
credentials credit credits data deactivated decommissioned default delta denied deployment deprecated detected
disabled duplicate effort empty encoding engine entity error errors exceed exceeded exception exhausted exists expected
expired extra extra failed failure field file filter filtered forbidden format found frequency function functions
gateway hard header high id image images in include incomplete incorrect index input inputs insufficient integer
internal invalid is item items json key large length level limit limited limits list logit logprobs long many max
maximum media message messages metadata method min minimum missing mode model models moderation name network no not
null number object of on only operation option options order organization out output overload overloaded parallel
parameter parameters parse path payload penalty pending per permission policy precondition presence processing project
prompt property provider quota range rate reached read reasoning refused region rejected remote request requests
required reset resource response retired retry revoked role runtime safety schema secret seed sequence server service
session signature size soft spend state status stop store stream streaming strict string suspended system temperature
territory text thinking throttled throttling tier timed timeout token tokens too tool tools top ttl type unauthorized
unavailable unexpected unknown unprocessable unsupported upload upstream url usage user valid validation value version
violation window with wrong
"""
_WORDS = frozenset(_ERROR_WORDS.split())


def cause_of_answer(status: int, codes: Iterable[str], headers: Mapping[str, str]) -> str:
    """The status, codes and request id of a provider's error, such as `HTTP 400: invalid_request_error (req_011…)`."""
    told = " ".join([code for code in codes if is_known(code)][:MAX_CODES])
    request_id = request_id_of(headers)
    return f"HTTP {status}" + (f": {told}" if told else "") + (f" ({request_id})" if request_id else "")


def is_known(code: str) -> bool:
    """Whether a code consists of the words that errors have."""
    if len(code) > MAX_CODE_CHARS or not _CODE(code):
        return False
    return all(word.lower() in _WORDS for word in _WORD.findall(code))


def request_id_of(headers: Mapping[str, str]) -> str:
    """The id by which the provider finds the request, or nothing."""
    given = next((headers[name] for name in _REQUEST_IDS if name in headers), "")
    return given if _REQUEST_ID(given) and not holds_secret(given) else ""


def cause_of_exception(error: BaseException) -> str:
    """The exception's class and what the operating system says. The rest may repeat bytes that were received."""
    name = type(error).__name__
    match error:
        case aiohttp.ClientConnectorError():  # nothing was received
            return f"{name}: {error}"
        case ssl.SSLError():
            return f"{name}: {error.reason or ''}".rstrip(": ")
        case OSError(strerror=str(said)):
            return f"{name}: {said}"
        case _:
            return name


def content_type_told(kind: str) -> str:
    return kind if kind in _TYPES else "of another type"

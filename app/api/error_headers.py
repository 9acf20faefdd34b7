"""The headers of an error's answer, beside Retry-After: errors themselves are data only."""

import re
from collections.abc import Mapping
from math import ceil

from app.errors import AppError, Forbidden, RateLimited, Unauthorized, UnsupportedMediaType
from app.limits.headers import of_refusal

_RETRY_AFTER_SECONDS = 5  # where nobody knows better

_CHALLENGE = 'Bearer realm="agent-api"'
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+").fullmatch  # RFC 6749, section 3.3


def retry_after_seconds(error: AppError) -> int | None:
    """After how many seconds another try makes sense; None if none does, or there is nothing to wait for."""
    seconds = error.retry_after
    if seconds is None and error.status in (429, 503) and not error.permanent:
        seconds = _RETRY_AFTER_SECONDS
    return None if seconds is None else max(1, ceil(seconds))


def headers_of(error: AppError) -> Mapping[str, str]:
    """Where the caller stands, which credentials are asked for, or what would be taken; none for most errors."""
    match error:
        case RateLimited():
            return of_refusal(error)
        case Unauthorized():
            return {"WWW-Authenticate": _challenge(error)}
        case Forbidden() if _SCOPE(error.missing_scope):  # any other has no place in a header
            challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{error.missing_scope}"'
            return {"WWW-Authenticate": challenge}
        case UnsupportedMediaType():
            return error.accepted
        case _:
            return {}


def _challenge(error: Unauthorized) -> str:
    """RFC 6750, section 3."""
    if error.problem == "missing":
        return _CHALLENGE
    return f'{_CHALLENGE}, error="invalid_token", error_description="The token is {error.problem}"'

"""Optional parameters that a provider refuses: what its error asks for instead, one request at a time.

Providers, and the servers that speak their APIs, refuse what others insist on, each in words of its own. An error that
names an optional part of the request is answered by a request that is changed in this part.
"""

from collections.abc import Collection, Iterable

import msgspec

from app.errors import AppError, ContextTooLong, ModelUnavailable
from app.models.providers.changes import Changes
from app.models.providers.error_body import read_error
from app.models.providers.refusal_rules import RULES, refuses

_MAX_WORDS = 4000
_REASONS = ("bad_request", "not_found", "server_error", "auth")
_STATUSES = frozenset({200, 400, 403, 404, 405, 422, 500, 501})


class Said(Exception):
    """A provider's error as it was sent, the cause of what was raised for it. Its own text says nothing: an error's
    body may repeat the request."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


def change_for(error: AppError, changes: Changes, optional: Collection[str] = ()) -> Changes | None:
    """The changes to send a request again with that failed with this error, or None if another try is no use.

    `optional` are further parameters in the request that may be left out.
    """
    said = error.__cause__
    if not isinstance(said, Said) or said.status not in _STATUSES:
        return None
    if not isinstance(error, ContextTooLong) and not (isinstance(error, ModelUnavailable) and error.reason in _REASONS):
        return None
    words, names = words_of(said.body)
    left = [name for name in ("stream_options", *optional) if name not in changes.left_out]
    for choices in ([name for name in left if name in names], [name for name in left if "tool" in name]):
        if changed := _without(choices, words, names, changes):
            return changed
    for rule in RULES:
        if (changed := rule(words, names, changes)) and changed != changes:
            return changed
    return _without(left, words, names, changes)


def _without(choices: Iterable[str], words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    refused = [name for name in choices if refuses(name, words, names)]
    if not refused:
        return None
    return msgspec.structs.replace(changes, left_out=changes.left_out | {max(refused, key=len)})


def words_of(body: bytes) -> tuple[str, frozenset[str]]:
    """The words of an error in lower case, and the parameters that it names in fields of their own. What repeats the
    request is not read: nobody who is let to ask may make an error say what they like."""
    said = read_error(body)
    return said.words[:_MAX_WORDS].lower(), said.names

"""What a provider's headers tell of its limits: one table of formats, read before a limit is reached.

Documented by Anthropic (`anthropic-ratelimit-*`, RFC 3339), OpenAI and Groq (`x-ratelimit-*`, durations such as
`6m0s`), Azure (seconds; -1 where it does not count), OpenRouter (milliseconds since the epoch), Cerebras (seconds, the
window in the name) and Mistral (the window in the name, no reset).
"""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

from msgspec import Struct
from multidict import istr

MAX_RESET_SECONDS = 3600.0
"""A header makes a model rest no longer than this: limits of a day refill all day long, and clocks go wrong."""

WHOLE_SECONDS_MARGIN = 1.0
"""Added to a reset told in whole seconds, which may have been rounded down."""

UNTOLD_RESET_SECONDS = 60.0
"""Where a limit is told without its reset: providers' shortest windows are minutes."""

LOW_REQUESTS = 100
LOW_SHARE = 0.2
"""Requests left, and their share of the limit, below which other processes have to know."""


class Format(Struct, frozen=True):
    """The headers of one limit."""

    unit: Literal["requests", "tokens"]
    limit: istr
    remaining: istr
    reset: istr


class Quota(Struct, frozen=True):
    """A limit that is nearly reached. `limit` is 0 where it is not told."""

    unit: Literal["requests", "tokens"]
    limit: int
    remaining: int
    resets_in: float
    """Seconds until the whole limit is there again, at most MAX_RESET_SECONDS."""


def _format(unit: Literal["requests", "tokens"], pattern: str) -> Format:
    return Format(unit, *(istr(pattern.replace("*", part)) for part in ("limit", "remaining", "reset")))


ANTHROPIC = (
    _format("requests", "anthropic-ratelimit-requests-*"),
    _format("tokens", "anthropic-ratelimit-tokens-*"),
    _format("tokens", "anthropic-ratelimit-input-tokens-*"),
    _format("tokens", "anthropic-ratelimit-output-tokens-*"),
)
COMPATIBLE = (
    _format("requests", "x-ratelimit-*-requests"),  # OpenAI, Azure, Groq, vLLM's gateways
    _format("tokens", "x-ratelimit-*-tokens"),
    _format("requests", "x-ratelimit-*"),  # OpenRouter
    _format("requests", "x-ratelimit-*-req-minute"),  # Mistral
    _format("tokens", "x-ratelimit-*-tokens-minute"),  # Mistral, Cerebras
    _format("requests", "x-ratelimit-*-requests-minute"),  # Cerebras
    _format("requests", "x-ratelimit-*-requests-day"),
)


def remaining_names(formats: Sequence[Format]) -> tuple[istr, ...]:
    """The headers that tell whether there is anything to read."""
    return tuple([one.remaining for one in formats])


def low_quotas(headers: Mapping[str, str], formats: Sequence[Format]) -> list[Quota]:
    """The limits that are nearly reached: few requests left, or no tokens. What cannot be read is left out."""
    found = []
    for one in formats:
        remaining = _count(headers.get(one.remaining))
        if remaining is None:
            continue
        limit = _count(headers.get(one.limit)) or 0
        if remaining == 0 or (one.unit == "requests" and (remaining < LOW_REQUESTS or remaining < limit * LOW_SHARE)):
            found.append(Quota(one.unit, limit, remaining, _resets_in(headers.get(one.reset), headers)))
    return found


def _count(text: str | None) -> int | None:
    """A whole number from 0 on; None for anything else, as Azure's -1."""
    return int(text) if text is not None and len(text) <= 15 and text.isascii() and text.isdecimal() else None


def _resets_in(text: str | None, headers: Mapping[str, str]) -> float:
    seconds = None if text is None else _seconds(text.strip(), headers)
    if seconds is None:
        seconds = UNTOLD_RESET_SECONDS
    return min(max(seconds, 0.0), MAX_RESET_SECONDS)


_NUMBER = re.compile(r"\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_UNITS = {"d": 86_400.0, "h": 3600.0, "m(?!s)": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile("".join([rf"(?:({_NUMBER.pattern}){unit})?" for unit in _UNITS]), re.ASCII)
_EPOCH_SECONDS = 1e9  # a number from here on is a time, not a duration
_EPOCH_MILLISECONDS = 1e11
_SAME_CLOCK_SECONDS = 2.0  # a Date has whole seconds, and was written a moment ago


def _seconds(text: str, headers: Mapping[str, str]) -> float | None:
    """From a duration, a number of seconds, or a time: in seconds or milliseconds since the epoch, or RFC 3339."""
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number >= _EPOCH_MILLISECONDS:
            return number / 1000 - _now(headers)
        number = number - _now(headers) if number >= _EPOCH_SECONDS else number
        return number if "." in text else number + WHOLE_SECONDS_MARGIN
    if text and (duration := _DURATION.fullmatch(text)):
        parts = [float(part or 0) * unit for part, unit in zip(duration.groups(), _UNITS.values(), strict=True)]
        return sum(parts) + (0.0 if "." in text or "ms" in text else WHOLE_SECONDS_MARGIN)
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return at.timestamp() - _now(headers) + (0.0 if "." in text else WHOLE_SECONDS_MARGIN)
    except (ValueError, OverflowError):
        return None


def _now(headers: Mapping[str, str]) -> float:
    """Seconds since the epoch, by the provider's clock where ours differs from it."""
    ours = time.time()
    try:
        theirs = parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return ours
    return ours if abs(ours - theirs) < _SAME_CLOCK_SECONDS else theirs

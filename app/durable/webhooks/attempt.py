"""One try to deliver a webhook, and what is kept of it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

_MOST_KEPT = 20


class Attempt(Struct, frozen=True):
    """`reason` is a fixed word: why it failed; empty if it did not."""

    at: datetime
    status: int | None
    """Of the receiver's answer; null: there was none."""
    reason: str
    latency_ms: float


class Result(Struct, frozen=True):
    """An attempt, with what the receiver asks for."""

    attempt: Attempt
    retry_after: float | None = None
    """Seconds."""
    gone: bool = False
    """The receiver wants no more of it."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[Attempt, ...]).decode


def read_log(log: bytes) -> Sequence[Attempt]:
    """The attempts that are kept, the latest last."""
    return _decode(log) if log else ()


def with_attempt(log: bytes, attempt: Attempt) -> bytes:
    return _encode([*read_log(log), attempt][-_MOST_KEPT:])


def now() -> datetime:
    """To the millisecond."""
    at = datetime.now(UTC)
    return at.replace(microsecond=at.microsecond // 1000 * 1000)

"""What sessions may take, of one caller and of all in a process."""

from dataclasses import dataclass
from math import ceil
from typing import Self

from app.settings import Settings

IN_PROCESS = (10_000, 67_108_864)
"""Sessions, and bytes of them, that a store in the process has."""

_MARGIN_SECONDS = 60  # between a run's deadline and the last word about it


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The oldest goes first where there is more."""

    ttl_seconds: int
    max_turns: int
    max_bytes: int = 262_144
    """Of a session's turns in JSON. The newest is kept whatever it takes."""
    sessions: int = 1_000
    """Of a user, or of the anonymous callers at an address."""
    total_bytes: int = 33_554_432
    """Of these sessions together."""
    run_seconds: int = 300
    """How long a run may take: so long a deleted session is known to be one."""
    in_process: tuple[int, int] | None = None
    """Sessions and bytes of all callers together, where the store is in this process."""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            ttl_seconds=settings.session_ttl_seconds,
            max_turns=settings.session_max_turns,
            max_bytes=settings.session_max_bytes,
            sessions=settings.sessions_per_user,
            total_bytes=settings.session_bytes_per_user,
            run_seconds=ceil(settings.run_timeout_seconds) + _MARGIN_SECONDS,
            in_process=None if settings.redis_url else IN_PROCESS,
        )

    def as_words(self) -> str:
        """As append.lua has them."""
        numbers = (self.max_turns, self.max_bytes, self.ttl_seconds, self.sessions, self.total_bytes)
        return ", ".join(map(str, (*numbers, *(self.in_process or ()))))

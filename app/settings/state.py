"""Settings of the store, of how certificates are checked, and of sessions."""

from pathlib import Path

from pydantic import BaseModel, Field

from app.settings.kinds import GIB, TIB, YEAR, RedisUrl


class StateSettings(BaseModel):
    redis_url: RedisUrl = Field(
        None,
        description="Valkey or Redis, `redis://` or `rediss://`; unset: an in-process server, for one process",
    )
    redis_ca_file: Path | None = Field(
        None,
        description="Certificate in PEM of the authority behind a `rediss://` server; unset: the public authorities",
    )
    tls_strict: bool = Field(
        True,
        description="Refuse servers whose certificates lack what RFC 5280 asks for (key usage, key identifiers), as "
        "Python 3.13 does; `false` takes them if they verify otherwise",
    )
    session_ttl_seconds: int = Field(604_800, ge=1, le=10 * YEAR, description="How long an unused session is kept")
    session_max_turns: int = Field(
        100, ge=1, le=1_000_000, description="Maximum turns kept of a session; with one more the older half goes"
    )
    session_max_bytes: int = Field(
        262_144,
        ge=4_096,
        le=GIB // 4,
        description="Maximum bytes kept of a session; with more its oldest turns go until half is left, and a larger "
        "turn is shortened",
    )
    sessions_per_user: int = Field(
        1_000,
        ge=1,
        le=1_000_000,
        description="Maximum number of sessions kept of a user, or of the anonymous callers at an address; "
        "the oldest go first",
    )
    session_bytes_per_user: int = Field(
        33_554_432, ge=4_096, le=TIB, description="Maximum bytes of these sessions together; the oldest go first"
    )
    feedback_days: int = Field(
        7, ge=0, le=400, description="How long an answer can be marked by its run's id; 0 switches `/feedback` off"
    )

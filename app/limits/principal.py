"""On whose behalf a run goes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    user: str  # 1 to 64 of [A-Za-z0-9_-]

"""Bounds that the connections of one listener share, and the timer of their deadlines."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.errors import AppError
from app.settings import Settings

FREE_BODY_BYTES = 16_384
"""Bytes of a body that do not count: small bodies are not refused because of large ones."""

_CHECK_SECONDS = 0.25
_SPARED = 32
_KEEP_ALIVE_SECONDS = 75  # above what load balancers keep idle connections for, so that they close them and not we


@dataclass(frozen=True, slots=True)
class Bounds:
    """Maximum resources that a client may use."""

    head_bytes: int = 65_536
    headers: int = 128
    head_seconds: float = 10
    body_seconds: float = 30
    bodies_bytes: int = 67_108_864
    """Of the bodies of all connections together."""
    write_seconds: float = 60
    idle_seconds: float = _KEEP_ALIVE_SECONDS
    connections: int = 2000
    spared: frozenset[str] = frozenset()
    """Paths that are still answered on some connections beyond the bound."""
    spared_connections: int = _SPARED

    @classmethod
    def of(cls, settings: Settings, spared: frozenset[str]) -> "Bounds":
        return cls(
            head_bytes=settings.max_head_bytes,
            head_seconds=settings.head_timeout_seconds,
            body_seconds=settings.body_timeout_seconds,
            bodies_bytes=max(settings.max_bodies_bytes, settings.max_body_bytes),
            write_seconds=settings.write_timeout_seconds,
            connections=settings.max_connections,
            spared=spared,
        )


class Watched(Protocol):
    def check(self, now: float) -> None:
        """Ends what has passed its deadline."""


Refuse = Callable[[AppError, str], bytes]
"""The answer to what never becomes a request, and its log line; with the peer's address."""


class Connections:
    """One timer for all deadlines of a listener: a request costs none."""

    def __init__(self, bounds: Bounds, refuse: Refuse) -> None:
        self.bounds = bounds
        self.refuse = refuse
        self.body_bytes = 0  # of bodies and of requests that wait, held at the moment
        self._open: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, connection: Watched) -> None:
        """Check its deadlines until it is forgotten."""
        self._open.add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_CHECK_SECONDS, self._check)

    def forget(self, connection: Watched) -> None:
        self._open.discard(connection)

    def _check(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for connection in tuple(self._open):
            connection.check(now)
        self._timer = loop.call_later(_CHECK_SECONDS, self._check) if self._open else None

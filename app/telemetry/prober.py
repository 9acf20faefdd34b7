"""Asks what the service depends on for signs of life, in the background. Never calls a model."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.errors import AppError, ModelError, StateUnavailable
from app.telemetry import metrics
from app.telemetry.logs import log
from app.telemetry.scrubbing import without_secrets
from app.tls import certificate_problem

_EVERY_SECONDS = 10.0
_PATIENCE_SECONDS = 5.0

CERTIFICATE = "certificate: "

Health = Literal["unknown", "up", "down"]


@dataclass(slots=True)
class Check:
    """One dependency's last known state."""

    name: str
    probe: Callable[[], Awaitable[object]]
    status: Health = "unknown"
    last_ok: float | None = None  # time.monotonic()
    reason: str = ""

    async def run(self) -> None:
        before = self.status
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self.probe()
        except (AppError, TimeoutError) as error:
            self.status = "down"
            self.reason = _reason(error)
        except Exception as error:
            log.exception("dependency.probe_crashed", dependency=self.name)
            self.status, self.reason = "down", type(error).__name__
        else:
            self.status, self.reason, self.last_ok = "up", "", time.monotonic()
        metrics.DEPENDENCY_UP.labels(self.name).set(self.status == "up")
        if self.status != before:
            (log.info if self.status == "up" else log.warning)(
                "dependency", dependency=self.name, status=self.status, reason=self.reason
            )

    @property
    def last_ok_seconds(self) -> float | None:
        return None if self.last_ok is None else round(time.monotonic() - self.last_ok, 1)


def _reason(error: Exception) -> str:
    match error:
        case ModelError(reason="certificate"):
            return f"{CERTIFICATE}{error.cause}"
        case ModelError():
            return error.reason
        case StateUnavailable(__cause__=Exception() as cause):
            if problem := certificate_problem(cause):
                return f"{CERTIFICATE}{problem}"
            return without_secrets(f"{type(cause).__name__}: {cause}")
        case _:
            return type(error).__name__


class Prober:
    """`redis` is None where the store lives in this process."""

    def __init__(
        self, models: Mapping[str, Callable[[], Awaitable[object]]], redis: Callable[[], Awaitable[object]] | None
    ) -> None:
        self._models = {ref: Check(ref, probe) for ref, probe in models.items()}
        self._redis = Check("redis", redis) if redis is not None else None

    async def watch(self) -> None:
        """Probe all, again and again, until cancelled."""
        checks = [*self._models.values(), *([self._redis] if self._redis is not None else [])]
        while True:
            await asyncio.gather(*(check.run() for check in checks))
            await asyncio.sleep(_EVERY_SECONDS)

    @property
    def all_up(self) -> bool:
        redis_up = self._redis is None or self._redis.status != "down"
        return redis_up and all(check.status != "down" for check in self._models.values())

    def redis(self) -> Literal["in-process", "unknown", "up", "down"]:
        return "in-process" if self._redis is None else self._redis.status

    def redis_reason(self) -> str | None:
        """What is wrong with its certificate; other reasons are in the log, since they may name hosts."""
        reason = "" if self._redis is None else self._redis.reason
        return reason if reason.startswith(CERTIFICATE) else None

    def models(self) -> dict[str, dict[str, Any]]:
        return {
            ref: {
                "status": check.status,
                "last_ok_seconds": check.last_ok_seconds,
                "reason": check.reason or None,
            }
            for ref, check in self._models.items()
        }

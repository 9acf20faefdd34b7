"""A collector that goes away under load and stays away: nobody notices, and the account of spans is exact."""

import asyncio
import signal
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.resilience.asking import Callers, Outcome
from tests.resilience.goals import Sheet, percentile
from tests.resilience.serving import resident_mib
from tests.service import Service
from tests.telemetry.collector import Collector

SPANS_OF_A_RUN = 4
"""With the demo model: the request, the run, one iteration, one model call."""

_COUNTERS = ("agent_telemetry_exported_total", "agent_telemetry_dropped_total")


async def away(folder: Path, *, up_seconds: float, away_seconds: float, per_second: float, **settings: object) -> Sheet:
    """The same load with the collector and without it, then SIGTERM."""
    sheet = Sheet(f"the collector away for {away_seconds:g} s at {per_second:g} requests a second, then SIGTERM")
    collector = Collector()
    with collector:
        service = Service(
            folder,
            otel_exporter_otlp_endpoint=collector.endpoint,
            anonymous_per_minute="off",
            anonymous_concurrent="off",
            refused_per_minute="off",
            session_ttl_seconds=1,  # else they are what memory goes up by
            **settings,
        )
        service.may_log_errors = True  # the exporter's own words
        async with Callers() as callers:
            asked = await _load(callers, service, up_seconds / 4, per_second)
            before = await _load(callers, service, up_seconds, per_second)
            memory = resident_mib(service)
            await asyncio.to_thread(collector.__exit__)
            meanwhile = await _load(callers, service, away_seconds, per_second)
    asked += [*before, *meanwhile]
    sheet.none("not answered", [one.status for one in asked if one.status != 200])
    p99, p99_away = _p99(before), _p99(meanwhile)
    sheet.tell("p99 with the collector", f"{p99 * 1000:.2f} ms")
    sheet.tell("p99 without it", f"{p99_away * 1000:.2f} ms")
    sheet.at_most("p99 up", (p99_away / p99 - 1) * 100, 2, " %")
    sheet.at_most("memory up", resident_mib(service) - memory, 5, " MiB")
    await asyncio.to_thread(_leave, service, sheet, SPANS_OF_A_RUN * len(asked), len(collector.spans))
    return sheet


async def _load(callers: Callers, service: Service, seconds: float, per_second: float) -> list[Outcome]:
    return await callers.at_rate(service.url, per_second, time.monotonic() + seconds)


def _p99(outcomes: Sequence[Outcome]) -> float:
    return percentile((one.seconds for one in outcomes), 0.99)


def _leave(service: Service, sheet: Sheet, made: int, received: int) -> None:
    series = service.metrics()
    counted = sum(value for name, value in series.items() if name.startswith(_COUNTERS))
    sheet.at_most("counted before the end, of all made", counted, made)
    service.client.close()
    service.signal(signal.SIGTERM)
    status = service.wait()
    left = time.time()
    drained = datetime.fromisoformat(service.log("drain.end")[0]["timestamp"]).timestamp()
    sheet.at_most("exit status", status, 0)
    sheet.at_most("out after the drain", left - drained, 2, " s")
    (account,) = service.log("traces.end")
    dropped = {reason: account[reason] for reason in ("queue_full", "export_failed", "shutdown")}
    sheet.tell("dropped", ", ".join(f"{reason} {spans}" for reason, spans in dropped.items()))
    sheet.none("made but not counted as such", [] if account["made"] == made else [f"{account['made']} of {made}"])
    lost = account["made"] - account["exported"] - sum(dropped.values())
    sheet.at_most("made, and neither exported nor dropped", abs(lost), 0)
    sheet.at_most("exported, and not received", abs(account["exported"] - received), 0)

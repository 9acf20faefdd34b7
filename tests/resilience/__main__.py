"""`python -m tests.resilience [NAME …]`: the long runs, or those named, one after the other. Takes about 12 minutes.

Prints the figures of each as it ends. Leaves with 1 when a goal is missed.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from bench import valkey
from tests.resilience.burst import burst
from tests.resilience.chaos import chaos
from tests.resilience.flaky import flaky
from tests.resilience.goals import Sheet
from tests.resilience.leaving import leaving
from tests.resilience.outage import Outage, outages
from tests.resilience.shared_quota import shared_quota
from tests.soak import Scenario, main


async def _flaky(folder: Path) -> list[Sheet]:
    return [await flaky(folder, requests=10_000)]


async def _outages(folder: Path) -> list[Sheet]:
    return await outages(folder, (Outage(7, "503"), Outage(61, "refused"), Outage(95, "reset-before-headers")))


async def _burst(folder: Path) -> list[Sheet]:
    return [
        await burst(folder / "on", requests=1_000, watched_seconds=60, breaker=True),
        await burst(folder / "off", requests=1_000, watched_seconds=60, breaker=False),
    ]


async def _chaos(folder: Path) -> list[Sheet]:
    return [await chaos(folder, requests=5_000)]


async def _leaving(folder: Path) -> list[Sheet]:
    return [await leaving(folder)]


async def _quota(folder: Path) -> list[Sheet]:
    store, port, _ = valkey.start()
    try:
        return [await shared_quota(folder, f"redis://127.0.0.1:{port}/0", allowed=60, window=60, windows=3)]
    finally:
        store.stop()


RUNS: Mapping[str, Scenario] = {
    "flaky": _flaky,
    "outages": _outages,
    "burst": _burst,
    "quota": _quota,
    "leaving": _leaving,
    "chaos": _chaos,
}


if __name__ == "__main__":
    sys.exit(main(RUNS))

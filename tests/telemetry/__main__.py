"""`python -m tests.telemetry [NAME …]`: the long runs, or those named, one after the other. Takes about 9 minutes.

Prints the figures of each as it ends. Leaves with 1 when a goal is missed.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from tests.resilience.goals import Sheet
from tests.telemetry.away import away
from tests.telemetry.whole import whole


def _away(folder: Path) -> Awaitable[Sheet]:
    return away(folder, up_seconds=60, away_seconds=300, per_second=100)


def _away_briefly(folder: Path) -> Awaitable[Sheet]:
    return away(folder, up_seconds=20, away_seconds=60, per_second=100)


def _whole(folder: Path) -> Awaitable[Sheet]:
    return whole(folder, runs=1_000)


def _late(folder: Path) -> Awaitable[Sheet]:
    return whole(folder, runs=1_000, late=True)


RUNS: Mapping[str, Callable[[Path], Awaitable[Sheet]]] = {
    "whole": _whole,
    "late": _late,
    "away": _away,
    "away-briefly": _away_briefly,
}
ALL = ("whole", "late", "away")


async def main(names: list[str]) -> int:
    missed = 0
    with tempfile.TemporaryDirectory(prefix="telemetry-") as folder:
        for name in names:
            start = time.monotonic()
            print(f"{name} …", flush=True)
            sheet = await RUNS[name](Path(folder) / name)
            print(f"{sheet.table()}\n  {name}: {time.monotonic() - start:.0f} s", flush=True)
            missed += len(sheet.missed)
    print(f"{missed} goals missed" if missed else "every goal reached")
    return 1 if missed else 0


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - RUNS.keys()
    if unknown:
        sys.exit(f"no such run: {', '.join(unknown)}; there is {', '.join(RUNS)}")
    sys.exit(asyncio.run(main(sys.argv[1:] or list(ALL))))

"""`python -m tests.telemetry [NAME …]`: the long runs, or those named, one after the other. Takes about 9 minutes.

Prints the figures of each as it ends. Leaves with 1 when a goal is missed.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.resilience.goals import Sheet
from tests.soak import Scenario, main
from tests.telemetry.away import away
from tests.telemetry.whole import whole


async def _away(folder: Path) -> list[Sheet]:
    return [await away(folder, up_seconds=60, away_seconds=300, per_second=100)]


async def _away_briefly(folder: Path) -> list[Sheet]:
    return [await away(folder, up_seconds=20, away_seconds=60, per_second=100)]


async def _whole(folder: Path) -> list[Sheet]:
    return [await whole(folder, runs=1_000)]


async def _late(folder: Path) -> list[Sheet]:
    return [await whole(folder, runs=1_000, late=True)]


RUNS: Mapping[str, Scenario] = {
    "whole": _whole,
    "late": _late,
    "away": _away,
    "away-briefly": _away_briefly,
}
ALL = ("whole", "late", "away")


if __name__ == "__main__":
    sys.exit(main(RUNS, ALL))

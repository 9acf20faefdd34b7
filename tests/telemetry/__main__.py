"""`python -m tests.telemetry [NAME …]`: the long runs, or those named, one after the other. Takes about 10 minutes.

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
    """The process keeps 10,000 answers that can be marked, 1.2 KB each: until there are so many, its memory goes up
    with and without a collector alike."""
    return [await away(folder, up_seconds=90, away_seconds=300, per_second=100)]


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

"""`python -m tests.durable [NAME …]`: runs whose workers die, in long; or those named. Takes about 8 minutes.

Prints the figures of each as it ends. Leaves with 1 when a goal is missed.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from tests.durable.killing import Plan, killing
from tests.durable.leaving import quiet, stopped
from tests.resilience.goals import Sheet
from tests.soak import Scenario, main


async def _quiet(folder: Path) -> list[Sheet]:
    return [await quiet(folder)]


async def _stopped(folder: Path) -> list[Sheet]:
    return [await stopped(folder, seconds=60)]


async def _killing(folder: Path) -> list[Sheet]:
    return [await killing(folder, Plan(1_000))]


async def _backlog(folder: Path) -> list[Sheet]:
    """Runs that take long, and more of them than there are places for."""
    return [await killing(folder, Plan(60, workers=3, at_once=4, tool_seconds=4, every_seconds=8, most_kills=2))]


async def _rollouts(folder: Path) -> list[Sheet]:
    return [await killing(folder, Plan(500, gently=True))]


RUNS: Mapping[str, Scenario] = {
    "quiet": _quiet,
    "stopped": _stopped,
    "backlog": _backlog,
    "rollouts": _rollouts,
    "killing": _killing,
}

if __name__ == "__main__":
    sys.exit(main(RUNS))

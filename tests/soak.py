"""The long runs of a folder, one after the other: prints the figures of each, and counts the goals that were missed."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from tests.resilience.goals import Sheet

Scenario = Callable[[Path], Awaitable[Sequence[Sheet]]]
"""A long run that may use this folder."""

LIMIT_SECONDS = 40 * 60


def main(scenarios: Mapping[str, Scenario], usual: Sequence[str] = ()) -> int:
    """Run those that the command line names, else the usual ones, else all; returns the exit status."""
    names = sys.argv[1:] or list(usual) or list(scenarios)
    unknown = set(names) - scenarios.keys()
    if unknown:
        print(f"no such run: {', '.join(sorted(unknown))}; there is {', '.join(scenarios)}", file=sys.stderr)
        return 2
    return asyncio.run(_run(scenarios, names))


async def _run(scenarios: Mapping[str, Scenario], names: Sequence[str]) -> int:
    missed = 0
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with asyncio.timeout(LIMIT_SECONDS):
            for name in names:
                start = time.monotonic()
                print(f"{name} …", flush=True)
                for sheet in await scenarios[name](Path(folder) / name):
                    print(sheet.table(), flush=True)
                    missed += len(sheet.missed)
                print(f"  {name}: {time.monotonic() - start:.0f} s", flush=True)
    print(f"{missed} goals missed" if missed else "every goal reached")
    return 1 if missed else 0

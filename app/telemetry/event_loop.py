"""How late the event loop is: everything that this process does waits as long."""

import asyncio
from time import perf_counter

from app.telemetry.metrics import EVENT_LOOP_LAG

EVERY_SECONDS = 0.25


async def watch(every_seconds: float = EVERY_SECONDS) -> None:
    """Measure again and again, until cancelled. The loop's own clock stands still while a callback runs."""
    while True:
        due = perf_counter() + every_seconds
        await asyncio.sleep(every_seconds)
        EVENT_LOOP_LAG.observe(max(0.0, perf_counter() - due))

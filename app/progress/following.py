"""A run's events to its end, over as many connections as that takes."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from msgspec import Struct

from app.progress.events import LAST, Event
from app.progress.service import Refused, Service, Unreachable

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 8.0
PATIENCE_SECONDS = 300.0
"""How long a service may be away that has answered before."""


class Interrupted(Struct, frozen=True):
    """The connection is gone; the next try is after so many seconds."""

    why: str
    wait_seconds: float
    after: int
    """The last event that was seen: the stream continues behind it."""


class Gap(Struct, frozen=True):
    """The events that were asked for are not kept any more; the stream continues with this one."""

    oldest: int


News = Event | Interrupted | Gap


async def follow(service: Service, run_id: str, patience_seconds: float = PATIENCE_SECONDS) -> AsyncGenerator[News]:
    """Each event once, in order; the last one ends it. Raises Refused, and Unreachable when the service was away for
    longer than the patience lasts."""
    seen, wait, alive = 0, FIRST_WAIT_SECONDS, time.monotonic()
    while True:
        try:
            async with aclosing(service.events(f"/runs/{run_id}/events", seen)) as events:
                async for event in events:
                    wait, alive = FIRST_WAIT_SECONDS, time.monotonic()
                    if event.id <= seen:
                        continue
                    seen = event.id
                    yield event
                    if event.name in LAST:
                        return
            why, asked = "the stream ended early", 0.0
        except Unreachable as error:
            why, asked = str(error), error.retry_after
        except Refused as error:
            oldest = error.problem.get("oldest")
            if error.status != 410 or not isinstance(oldest, int) or oldest - 1 == seen:
                raise
            seen = max(0, oldest - 1)
            yield Gap(oldest)
            continue
        if time.monotonic() - alive > patience_seconds:
            raise Unreachable(f"away for {patience_seconds:.0f} s: {why}")
        pause = max(asked, wait * random.uniform(0.5, 1))  # noqa: S311 - no secret
        yield Interrupted(why, pause, seen)
        await asyncio.sleep(pause)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)

"""How late the event loop is."""

import asyncio
import time

from prometheus_client import REGISTRY

from app.telemetry import event_loop


def measured(name: str) -> float:
    return REGISTRY.get_sample_value(f"agent_event_loop_lag_seconds_{name}") or 0


async def test_what_blocks_the_loop_is_seen_as_lag() -> None:
    count, total = measured("count"), measured("sum")
    watching = asyncio.create_task(event_loop.watch(0.001))
    await asyncio.sleep(0.02)
    time.sleep(0.2)  # noqa: ASYNC251 - on purpose
    await asyncio.sleep(0.02)
    watching.cancel()
    await asyncio.wait([watching])
    assert measured("count") > count + 2
    assert measured("sum") - total > 0.15

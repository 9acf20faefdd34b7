"""Keeps background tasks going: one that dies is logged, restarted, and seen by `/ready` if it keeps dying."""

import asyncio
from collections.abc import Awaitable, Callable

from app.api.lifecycle import Lifecycle
from app.telemetry.logs import log

_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0
_DEATHS = 3  # in a row after which a process is not ready
_HEALTHY_SECONDS = 60.0  # after which a task that goes on has recovered


async def supervise(
    name: str,
    work: Callable[[], Awaitable[None]],
    lifecycle: Lifecycle,
    *,
    essential: bool = True,
    pause_seconds: float = _PAUSE_SECONDS,
    healthy_seconds: float = _HEALTHY_SECONDS,
) -> None:
    """Runs `work` until it returns or is cancelled, again after each exception.

    Without what is `essential` (limits, keys) requests would be served wrongly: the process then leaves the
    rotation, but stays alive, and comes back when the task has been going for a while.
    """
    loop = asyncio.get_running_loop()
    deaths = 0
    while True:
        started = loop.time()
        recovered = loop.call_later(healthy_seconds, lifecycle.recovered, name)
        try:
            await work()
        except Exception:
            deaths = 1 if loop.time() - started >= healthy_seconds else deaths + 1
            log.exception("background.died", task=name, deaths=deaths)
        else:
            return
        finally:
            recovered.cancel()
        if essential and deaths >= _DEATHS:
            lifecycle.failed(name)
        await asyncio.sleep(min(pause_seconds * 2 ** (deaths - 1), _LONGEST_PAUSE_SECONDS))

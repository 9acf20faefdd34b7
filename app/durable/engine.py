"""The queue behind a port: it wakes a worker for a run that is due. What it believes is never the truth: a doorbell
that is lost, or rings twice, costs time and nothing else."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from app.errors import ConfigurationError
from app.settings import Settings

Handler = Callable[[str], Awaitable[None]]
"""Works on the run with this id until it is over, waits, or belongs to another worker. Does not raise."""


class Engine(Protocol):
    async def ring(self, run_id: str, *, at: float = 0.0, priority: int = 0) -> None:
        """Have a worker look at the run, at `at` (seconds since the epoch; 0: now); lower priorities first. Raises
        StateUnavailable when the queue does not answer: who has kept the run goes on, for the reconciler finds it."""

    async def serve(self, handler: Handler, *, most: int) -> None:
        """Call the handler for what rings, for at most so many runs at once, until cancelled. A queue that is away is
        waited for. When it is cancelled it takes no more, and the handlers that go on are the caller's to end."""

    async def close(self) -> None: ...


def build_engine(settings: Settings) -> Engine:
    """The queue at RUN_QUEUE_URL, else at REDIS_URL, else one in this process; connected to on first use.

    Raises ConfigurationError for an address that cannot be used.
    """
    url = settings.run_queue_url or settings.redis_url
    if url is None:
        from app.durable.engines.in_process import InProcessEngine

        return InProcessEngine()
    if settings.redis_url is None:
        raise ConfigurationError(
            "RUN_QUEUE_URL: the workers that it calls could not read the runs: set REDIS_URL to the store that all "
            "processes share, or leave RUN_QUEUE_URL out"
        )
    if url.startswith("postgresql://"):
        from app.durable.engines.saq_postgres import PostgresEngine

        return PostgresEngine(url)
    from app.durable.engines.saq_redis import RedisEngine

    return RedisEngine.of(settings)

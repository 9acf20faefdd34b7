"""SAQ's queue on PostgreSQL. It makes its tables (`saq_jobs`, `saq_stats`, `saq_versions`) on first use."""

import asyncio
import logging
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from app.durable.engines.saq_engine import ANSWER_SECONDS, TAG, SaqEngine
from app.errors import ConfigurationError
from app.urls import check_host

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool
    from saq.queue import Queue

_POLL_SECONDS = 0.25
"""Between two looks. LISTEN would tell at once, but not of a connection that died, nor through a pooler."""
_PATIENCE_SECONDS = 5
_CONNECTIONS = 3
"""One that looks, and what rings meanwhile."""


class PostgresEngine(SaqEngine):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = _checked(url)
        self._pool: AsyncConnectionPool[Any] | None = None

    async def _open(self) -> Sequence["Queue"]:
        await asyncio.to_thread(import_module, "saq.queue.postgres")  # 0.3 s that streams would feel
        from psycopg import Error
        from psycopg_pool import AsyncConnectionPool
        from saq.queue.postgres import PostgresQueue

        logging.getLogger("saq").setLevel(logging.WARNING)
        # It has a line for each try to connect: `queue.away` tells.
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
        self.failures = (*SaqEngine.failures, Error)
        if self._pool is None:
            self._pool = AsyncConnectionPool(
                self._url,
                kwargs={"autocommit": True, "connect_timeout": int(ANSWER_SECONDS), "application_name": "agent-api"},
                min_size=1,
                max_size=_CONNECTIONS,
                timeout=ANSWER_SECONDS,
                check=AsyncConnectionPool.check_connection,
                open=False,
            )
            await self._pool.open()
        queue = PostgresQueue(self._pool, name=TAG, manage_pool_lifecycle=False)
        await queue.connect()
        return [queue]

    def _queue_for(self, priority: int) -> "Queue":
        return self._queues[0]

    async def _take(self) -> str | None:
        from saq.job import Status

        job = await self._queues[0].dequeue(_PATIENCE_SECONDS, _POLL_SECONDS)
        if job is None:
            return None
        await job.finish(Status.COMPLETE)
        return job.key

    async def close(self) -> None:
        if self._pool is not None:
            await self._pool.close(ANSWER_SECONDS)


def _checked(url: str) -> str:
    """Raises ConfigurationError, whose words do not repeat the address: it may hold a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
        if parts.hostname:
            check_host(parts.hostname)
    except ValueError:
        raise ConfigurationError(
            "RUN_QUEUE_URL: is not an address such as postgresql://user:password@host:5432/database; in a password "
            "`/`, `?`, `#`, `[` and `@` are percent-encoded"
        ) from None
    return url

"""SAQ's queue on the Redis protocol."""

import asyncio
import logging
import ssl
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any

from app.durable.engines.saq_engine import ANSWER_SECONDS, TAG, SaqEngine
from app.durable.record import SOON
from app.errors import ConfigurationError
from app.settings import Settings
from app.state.address import Address, parse

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from saq.queue import Queue

    from app.durable.engines.bell_queue import BellQueue

_PATIENCE_SECONDS = 0.5
"""A blocking wait: so long may what has a low priority, or a time that has come, lie unseen in an idle process."""
_SCHEDULE_SECONDS = 1


class RedisEngine(SaqEngine):
    """Two queues, since SAQ's on this protocol know no priorities: for runs that somebody waits for, and for others,
    which are looked at when the first is empty."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._address = address
        self._client: Redis | None = None
        self._schedule_at = 0.0
        self._patience = _PATIENCE_SECONDS
        self._bells: Sequence[BellQueue] = ()

    @classmethod
    def of(cls, settings: Settings) -> "RedisEngine":
        name = "RUN_QUEUE_URL" if settings.run_queue_url else "REDIS_URL"
        try:
            address = parse(settings.run_queue_url or settings.redis_url or "")
        except ValueError as error:
            raise ConfigurationError(f"{name}: {error}") from None
        authority = settings.redis_ca_file
        if address.tls and not address.ssl_ca_certs and authority is not None:
            address = replace(address, ssl_ca_certs=str(authority))
        return cls(replace(address, tls_strict=settings.tls_strict))

    async def _open(self) -> Sequence["Queue"]:
        await asyncio.to_thread(import_module, "app.durable.engines.bell_queue")  # 0.2 s that streams would feel
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import ConstantBackoff
        from redis.exceptions import RedisError

        from app.durable.engines.bell_queue import BellQueue

        logging.getLogger("saq").setLevel(logging.WARNING)
        self.failures = (*SaqEngine.failures, RedisError)
        self._client = client = Redis(
            **_arguments(self._address),
            protocol=2,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(ConstantBackoff(0.05), 1),
        )
        self._bells = [BellQueue(client, name) for name in (TAG, f"{TAG}later")]
        return self._bells

    def _queue_for(self, priority: int) -> "Queue":
        return self._queues[priority > SOON]

    async def _take(self) -> str | None:
        soon, later = self._bells
        if monotonic() >= self._schedule_at:
            self._schedule_at = monotonic() + _SCHEDULE_SECONDS
            for queue in self._bells:
                await queue.schedule(_SCHEDULE_SECONDS)
        key = await soon.take(self._patience) or await later.take(0)
        self._patience = _PATIENCE_SECONDS if key is None else 0
        return key

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _arguments(address: Address) -> dict[str, Any]:
    """The address as redis-py takes it."""
    given: dict[str, Any] = {
        "db": address.db,
        "username": address.username or None,
        "password": address.password or None,
    }
    if address.path:
        return {**given, "unix_socket_path": address.path}
    given |= {"host": address.host, "port": address.port}
    if not address.tls:
        return given
    return given | {
        "ssl": True,
        "ssl_ca_certs": address.ssl_ca_certs,
        "ssl_certfile": address.ssl_certfile,
        "ssl_keyfile": address.ssl_keyfile,
        "ssl_cert_reqs": address.ssl_cert_reqs,
        "ssl_check_hostname": address.ssl_cert_reqs == "required",
        "ssl_exclude_verify_flags": None if address.tls_strict else [ssl.VERIFY_X509_STRICT],
    }

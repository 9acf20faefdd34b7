"""The connection to Valkey or Redis, and the one place where its failures become StateUnavailable."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.errors import ConfigurationError, StateUnavailable

_CONNECT_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_CONNECTIONS = 64
_RETRY_AFTER_SECONDS = 5


def connect(url: str | None) -> Redis:
    """A client for `url`; without one, for a server inside this process, which forgets everything with it.

    Connects on first use. One retry covers connections that a restarted server has closed.
    Raises ConfigurationError if the address cannot be read.
    """
    if url is None:
        from fakeredis import FakeAsyncRedis  # not needed, and not loaded, beside a real server

        fake: Redis = FakeAsyncRedis()
        return fake
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError as error:
        raise ConfigurationError(f"REDIS_URL: {error}") from None
    return Redis(connection_pool=pool)


@contextmanager
def state_errors() -> Iterator[None]:
    """Turn whatever a Redis call raises into StateUnavailable; the cause stays attached for the log."""
    try:
        yield
    except (RedisError, OSError, TimeoutError) as error:
        raise StateUnavailable(
            "The store that keeps sessions does not answer. Try again.", retry_after=_RETRY_AFTER_SECONDS
        ) from error

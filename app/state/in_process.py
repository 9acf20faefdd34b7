"""A store without a server."""

from typing import Any

import hiredis
from fakeredis import FakeAsyncRedis
from redis.exceptions import NoScriptError, RedisError

from app.state.store import Argument, unavailable


class InProcessStore:
    """For one process without a server: fakeredis, which runs Lua as well. Forgets everything with the process."""

    def __init__(self) -> None:
        self._redis = FakeAsyncRedis(protocol=2)
        self._redis.response_callbacks.clear()  # replies as a server sends them

    async def call(self, *command: Argument) -> Any:
        try:
            return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except RedisError as error:
            cause = hiredis.ReplyError(f"NOSCRIPT {error}" if isinstance(error, NoScriptError) else str(error))
            raise unavailable(cause) from cause

    async def aclose(self) -> None:
        await self._redis.aclose()

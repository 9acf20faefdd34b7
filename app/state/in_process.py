"""A store without a server."""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

import hiredis
from fakeredis import FakeAsyncRedis, FakeServer
from redis.asyncio.client import PubSub
from redis.exceptions import NoScriptError, RedisError

from app.state.store import Argument, look_at, unavailable, under_way
from app.state.subscription import Subscription

_SWEEP_EVERY = 1_000
"""Calls. An expired key of which nobody asks again is else kept as long as the process lives."""


class InProcessStore:
    """For one process without a server: fakeredis, which runs Lua as well. Forgets everything with the process."""

    def __init__(self) -> None:
        self.server = FakeServer()
        self._redis = FakeAsyncRedis(server=self.server, protocol=2)
        self._redis.response_callbacks.clear()  # replies as a server sends them
        self._calls = 0
        self._turn = asyncio.Lock()  # one after the other, as on a server; its client has no more than 100 connections

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """What was sent is carried out, as on a server, even if nobody waits for it any more: its client swallows some
        cancellations, which the caller would then never see."""
        reply = asyncio.shield(under_way(self._call(command)))
        reply.add_done_callback(look_at)
        return reply

    async def _call(self, command: tuple[Argument, ...]) -> Any:
        try:
            async with self._turn:
                self._calls += 1
                if self._calls % _SWEEP_EVERY == 0:
                    await self._redis.execute_command("DBSIZE")  # type: ignore[no-untyped-call]  # removes what expired
                return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except RedisError as error:
            cause = hiredis.ReplyError(f"NOSCRIPT {error}" if isinstance(error, NoScriptError) else str(error))
            raise unavailable(cause) from cause

    async def aclose(self) -> None:
        await self._redis.aclose()


_SILENT = "silent"
"""A channel that nobody writes to: its client cannot wait without one."""


class InProcessSubscription(Subscription):
    """To what an InProcessStore tells."""

    def __init__(self, store: InProcessStore) -> None:
        super().__init__()
        self._store = store
        self._channels: PubSub | None = None
        self._changes: set[asyncio.Future[None]] = set()

    async def _listen(self) -> None:
        client = FakeAsyncRedis(server=self._store.server, protocol=2)
        try:
            channels = client.pubsub()
            await channels.subscribe(_SILENT)
            self._channels = channels
            self._subscribe(self._listeners)
            while not self.closed:
                told = await channels.get_message(timeout=None)
                if told is not None and told["channel"] != _SILENT.encode():
                    self._told(told["type"].encode(), told["channel"], told["data"])
        finally:
            await client.aclose()

    def _subscribe(self, channels: Iterable[bytes]) -> None:
        if self._channels is not None and (names := tuple(channels)):
            self._change(self._channels.subscribe(*names))

    def _unsubscribe(self, channel: bytes) -> None:
        if self._channels is not None:
            self._change(self._channels.unsubscribe(channel))

    def _change(self, change: Awaitable[None]) -> None:
        """These are made in their order."""
        changing = asyncio.ensure_future(change)
        self._changes.add(changing)
        changing.add_done_callback(look_at)
        changing.add_done_callback(self._changes.discard)

"""The store as the rest of the service sees it: commands of the Redis protocol in, replies out.

A command leaves when it is called, not when its reply is awaited; those of one turn of the event loop leave in one
write and their replies come back in order. So what is called before the first is awaited costs one round trip.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from hashlib import sha1
from typing import Any, Protocol

from app.errors import StateUnavailable

_RETRY_AFTER_SECONDS = 5

Argument = str | bytes | int | float


class Store(Protocol):
    """Commands in, replies out: integers, bytes, None, or lists of these."""

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        """One command's reply. Raises StateUnavailable, whose `__cause__` is for the log; it need not be awaited."""

    async def aclose(self) -> None: ...


def _as_it_is(reply: Any) -> Any:
    return reply


class Script:
    """A Lua script: atomic, one round trip, sent whole only to a server that does not know it yet."""

    def __init__(self, store: Store, source: str) -> None:
        self._store = store
        self._source = source
        self._sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(
        self, keys: tuple[str, ...], *arguments: Argument, read: Callable[[Any], Any] = _as_it_is
    ) -> Coroutine[Any, Any, Any]:
        """The reply, as `read` returns it."""
        return self._reply(self._store.call("EVALSHA", self._sha, len(keys), *keys, *arguments), keys, arguments, read)

    def send(self, keys: tuple[str, ...], *arguments: Argument) -> asyncio.Future[Any]:
        """As a call, without a task for who awaits no reply. A server that does not know the script refuses it."""
        return self._store.call("EVALSHA", self._sha, len(keys), *keys, *arguments)

    async def _reply(
        self,
        reply: Awaitable[Any],
        keys: tuple[str, ...],
        arguments: tuple[Argument, ...],
        read: Callable[[Any], Any],
    ) -> Any:
        try:
            return read(await reply)
        except StateUnavailable as error:
            if not unknown_script(error):
                raise
            return read(await self._store.call("EVAL", self._source, len(keys), *keys, *arguments))


def unknown_script(error: BaseException) -> bool:
    return str(error.__cause__).startswith("NOSCRIPT")


def under_way(call: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    """A call that needs a task of its own."""
    task = asyncio.create_task(call)
    task.add_done_callback(look_at)
    return task


def look_at(reply: asyncio.Future[Any]) -> None:
    """A caller that was cancelled never asks; that is no mistake to report."""
    if not reply.cancelled():
        reply.exception()


def unavailable(cause: BaseException) -> StateUnavailable:
    error = StateUnavailable("The store does not answer. Try again.", retry_after=_RETRY_AFTER_SECONDS)
    error.__cause__ = cause
    return error

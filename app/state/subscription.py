"""What the store tells unasked: one connection a process, however many channels are listened to.

A message is told at most once: what was published while there was no connection is lost. Whoever listens looks at the
store again when `missed` is called.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

import hiredis

from app.errors import StateUnavailable
from app.state.address import Address
from app.state.connection import ANSWER_SECONDS, Connection
from app.state.redis import CONNECT_SECONDS, PAUSE_SECONDS, RedisStore, open_connection
from app.state.store import Argument, Store
from app.telemetry.logs import log

_SWALLOWED_SECONDS = 0.1
"""After which a cancellation has got lost: the client of the store in the process swallows some."""


class Listener(Protocol):
    def heard(self, message: bytes) -> None:
        """A message has come."""

    def missed(self) -> None:
        """Messages come from now on; those before may have been missed."""


class Subscription(ABC):
    """The channels that this process listens to. The connection is made with the first."""

    def __init__(self) -> None:
        self._listeners: dict[bytes, Listener] = {}
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    def add(self, channel: str, listener: Listener) -> None:
        """Listen from as soon as possible on: `missed` is called then."""
        name = channel.encode()
        self._listeners[name] = listener
        if self._task is None:
            self._task = asyncio.create_task(self._listen())
        else:
            self._subscribe([name])

    def remove(self, channel: str) -> None:
        name = channel.encode()
        if self._listeners.pop(name, None) is not None:
            self._unsubscribe(name)

    async def aclose(self) -> None:
        self.closed = True
        self._listeners.clear()
        while self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task], timeout=_SWALLOWED_SECONDS)

    def _told(self, kind: bytes, channel: bytes, message: bytes) -> None:
        """What a server says: a channel's message, or that it will tell its messages."""
        listener = self._listeners.get(channel)
        if listener is None:
            return
        if kind == b"message":
            listener.heard(message)
        elif kind == b"subscribe":
            listener.missed()

    @abstractmethod
    async def _listen(self) -> None:
        """Hear what is told until cancelled."""

    @abstractmethod
    def _subscribe(self, channels: Iterable[bytes]) -> None:
        """Does nothing as long as there is no connection."""

    @abstractmethod
    def _unsubscribe(self, channel: bytes) -> None: ...


def subscription(store: Store) -> Subscription:
    """To what the server of this store tells."""
    if isinstance(store, RedisStore):
        return RedisSubscription(store.address)
    from app.state.in_process import InProcessStore, InProcessSubscription  # not loaded beside a real server

    assert isinstance(store, InProcessStore)  # noqa: S101 - there is no third
    return InProcessSubscription(store)


class RedisSubscription(Subscription):
    """On a server: Valkey or Redis. A connection that breaks is made anew."""

    def __init__(self, address: Address) -> None:
        super().__init__()
        self._address = address
        self._connection: _Ear | None = None

    async def _listen(self) -> None:
        said = False
        while True:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    ear = await open_connection(self._address, partial(_Ear, self._told))
            except (OSError, UnicodeError, StateUnavailable) as error:
                if not said:
                    log.warning("subscription.broken", error=repr(error.__cause__ or error))
                said = True
            else:
                said = False
                await self._hear(ear)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _hear(self, ear: "_Ear") -> None:
        self._connection = ear
        self._subscribe(self._listeners)
        try:
            await ear.until_gone()
        finally:
            self._connection = None
            ear.close()

    def _subscribe(self, channels: Iterable[bytes]) -> None:
        if self._connection is not None and (names := tuple(channels)):
            self._connection.send("SUBSCRIBE", *names)

    def _unsubscribe(self, channel: bytes) -> None:
        if self._connection is not None:
            self._connection.send("UNSUBSCRIBE", channel)


class _Ear(Connection):
    """A connection that hears what was not asked for. It is asked for a sign of life when it has been silent."""

    def __init__(self, told: Callable[[bytes, bytes, bytes], None]) -> None:
        super().__init__()
        self._told = told
        self._gone = self._loop.create_future()
        self._heard = True

    def send(self, *command: Argument) -> None:
        """A command whose answer is told like a message."""
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(hiredis.pack_command(command))  # type: ignore[arg-type]  # any length; the stub says one

    async def until_gone(self) -> None:
        """Return when the connection has broken, or is silent though it was asked for a sign of life."""
        while not self.closed:
            self._heard = False
            self.send("PING")
            await asyncio.wait([self._gone], timeout=ANSWER_SECONDS)
            if not self._heard:
                return

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if self._pending:  # the greeting
            super().data_received(data)
            return
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self._break(error)

    def _take(self, reply: Any) -> None:
        match reply:
            case [bytes(kind), bytes(channel), message]:
                self._told(kind, channel, message)
            case hiredis.ReplyError():
                log.warning("subscription.refused", error=str(reply))

    def _break(self, error: Exception) -> None:
        super()._break(error)
        if not self._gone.done():
            self._gone.set_result(None)

"""A store on a server: Valkey or Redis."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from app.errors import ConfigurationError, StateUnavailable
from app.reloading import read_bounded
from app.state.address import Address, parse
from app.state.connection import Connection
from app.state.store import Argument, Store, unavailable, under_way
from app.tls import client_context

_C = TypeVar("_C", bound=Connection)

CONNECT_SECONDS = 1.0
PAUSE_SECONDS = 0.5
"""After a connection that could not be made, before the next is tried; calls in between fail at once."""

_MAX_CA_BYTES = 16 * 1024 * 1024


def connect(url: str | None, ca_file: Path | None = None, *, tls_strict: bool = True) -> Store:
    """The store at `url`, connected to on first use; without one, a store that lives and dies with this process.

    Raises ConfigurationError if the address, or the authority's certificate in `ca_file`, cannot be used.
    """
    if ca_file is not None:
        _check_authority(url, ca_file)
    if url is None:
        from app.state.in_process import InProcessStore  # fakeredis is not loaded beside a real server

        return InProcessStore()
    try:
        address = parse(url)
    except ValueError as error:
        raise ConfigurationError(f"REDIS_URL: {error}") from None
    if ca_file is not None:
        address = replace(address, ssl_ca_certs=str(ca_file))
    return RedisStore(replace(address, tls_strict=tls_strict))


def _check_authority(url: str | None, ca_file: Path) -> None:
    if not (url or "").startswith("rediss://"):
        raise ConfigurationError("REDIS_CA_FILE: REDIS_URL is not a rediss:// address, so nothing would be encrypted")
    try:
        read_bounded(ca_file, _MAX_CA_BYTES)
        ssl.create_default_context(cafile=ca_file)
    except ValueError as error:
        raise ConfigurationError(f"REDIS_CA_FILE: {ca_file}: {error}") from None
    except OSError as error:
        reason = "is not a certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigurationError(f"REDIS_CA_FILE: {ca_file}: {reason}") from None


class RedisStore:
    """One connection to a server, made anew after it broke."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._connection: Connection | None = None
        self._connecting: asyncio.Future[Any] | None = None
        self._paused_until = 0.0
        self._shut = False

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        connection = self._connection
        if connection is None or connection.closed:
            return under_way(self._connect_and_call(command))
        return connection.call(command)

    async def _connect_and_call(self, command: tuple[Argument, ...]) -> Any:
        connection = self._connection
        if connection is None or connection.closed:  # others may have connected since the call
            connection = await self._connect()
        return await connection.call(command)

    async def _connect(self) -> Connection:
        if self._shut:
            raise unavailable(ConnectionError("shut"))
        if self._connecting is None:
            if monotonic() < self._paused_until:
                raise unavailable(ConnectionError("paused after a failed connection"))
            self._connecting = under_way(self._open())
        connection: Connection = await asyncio.shield(self._connecting)
        return connection

    async def _open(self) -> Connection:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = self._connection = await open_connection(self.address, Connection)
        except (OSError, UnicodeError, StateUnavailable) as error:  # UnicodeError: no name of a host
            self._paused_until = monotonic() + PAUSE_SECONDS
            cause = _cause(error)
            raise unavailable(cause) from cause
        else:
            return connection
        finally:
            self._connecting = None

    async def aclose(self) -> None:
        """From now on every call fails: a connection that was opened again would be nobody's to close."""
        self._shut = True
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close()


async def open_connection(address: Address, make: Callable[[], _C]) -> _C:
    loop = asyncio.get_running_loop()
    if address.path:
        _, connection = await loop.create_unix_connection(make, address.path)
    else:
        _, connection = await loop.create_connection(make, address.host, address.port, ssl=_tls(address))
    try:
        await _greet(connection, address)
    except BaseException:
        connection.close()
        raise
    return connection


async def _greet(connection: Connection, address: Address) -> None:
    if address.password:
        await connection.call(("AUTH", *filter(None, (address.username, address.password))))
    if address.db:
        await connection.call(("SELECT", address.db))
    await connection.call(("PING",))  # a server that hangs takes connections, too


def _cause(error: Exception) -> BaseException:
    match error:
        case StateUnavailable():
            return error.__cause__ or error
        case TimeoutError():
            return TimeoutError(f"no connection within {CONNECT_SECONDS:g} s")
        case _:
            return error


def _tls(address: Address) -> ssl.SSLContext | None:
    """`rediss://` checks the server's certificate; `ssl_ca_certs` names an authority of one's own."""
    if not address.tls:
        return None
    context = client_context(address.tls_strict, address.ssl_ca_certs)
    if address.ssl_cert_reqs == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if address.ssl_certfile:
        context.load_cert_chain(address.ssl_certfile, address.ssl_keyfile)
    return context

"""Connections to public addresses only: what is checked is the address that is connected to, not one that the same name
had a moment ago (DNS rebinding)."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from app.egress.addresses import is_public

MOST_AT_ONCE = 64
"""Names that are looked up. One of a server that does not answer takes a place for some 10 s a request: with fewer
places, one caller could hold all of them."""

LookUp = Callable[..., Any]
"""Takes and returns what `socket.getaddrinfo` does, and waits."""


class AddressRefused(OSError):
    """The host has an address that is not public."""


class Resolver(AbstractResolver):
    """Addresses of hosts, as the system knows them.

    Each is looked up in a thread of its own: names whose servers do not answer hold up neither other look-ups of this
    process nor its end.
    """

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._places = asyncio.Semaphore(MOST_AT_ONCE)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError for a host without an address."""
        await self._places.acquire()
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        Thread(target=self._find, args=(found, host, port, family), daemon=True, name="egress-dns").start()
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, address in await found
        ]

    def _find(self, found: asyncio.Future[Any], host: str, port: int, family: int) -> None:
        result: Any = None
        error: Exception | None = None
        try:
            result = self._look_up(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
        except UnicodeError:
            error = socket.gaierror(socket.EAI_NONAME, "is no name")
        except Exception as raised:  # noqa: BLE001 - raised where it is awaited
            error = raised
        with suppress(RuntimeError):  # the loop is closed
            found.get_loop().call_soon_threadsafe(self._settle, found, result, error)

    def _settle(self, found: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        self._places.release()
        if found.done():  # nobody waits any more
            return
        if error is None:
            found.set_result(result)
        else:
            found.set_exception(error)

    async def close(self) -> None:
        """Nothing is held."""


class PublicResolver(Resolver):
    """Hosts all of whose addresses are public."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises AddressRefused for the others."""
        found = await super().resolve(host, port, family)
        if not all(is_public(each["host"]) for each in found):
            raise AddressRefused("is not public")
        return found


def public_socket(info: AddrInfoType) -> socket.socket:
    """A socket that is about to be connected to this address: no resolver is asked about an address in a URL. Raises
    AddressRefused."""
    family, kind, proto, _, address = info
    if not is_public(str(address[0])):
        raise AddressRefused("is not public")
    return socket.socket(family, kind, proto)

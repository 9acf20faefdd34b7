"""Connections to public addresses only: what is checked is the address that is connected to, not one that the same name
had a moment ago (DNS rebinding)."""

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from app.egress.addresses import is_public

_THREADS = 8
"""Of their own: names of servers that answer slowly hold up nobody else's look-ups."""


LookUp = Callable[..., Any]
"""Takes and returns what `socket.getaddrinfo` does, and waits."""


class AddressRefused(OSError):
    """The host has an address that is not public."""


class Resolver(AbstractResolver):
    """Addresses of hosts, as the system knows them."""

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._threads = ThreadPoolExecutor(_THREADS, "egress-dns")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises OSError for a host without an address."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, self._look_up, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


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

"""The sockets that are listened on."""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from app.errors import ConfigurationError

BACKLOG = 2048
_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_TRIES = 8  # at a port that is free for every address of a name


def listen(host: str, port: int, setting: str) -> list[socket.socket]:
    """A socket for each address of a host, all on one port; `::` is every address of both families.

    Raises ConfigurationError that names HOST, or the port's `setting`.
    """
    name = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        addresses = _addresses(name)
        for _ in range(_TRIES - 1):
            try:
                return _bind(addresses, port)
            except OSError as error:
                if port or error.errno != errno.EADDRINUSE:
                    raise
        return _bind(addresses, port)
    except OSError as error:
        no_such_address = error.errno in _NOT_HERE or (error.errno or 0) < 0  # below 0: of the name's look-up
        reason = str(error.strerror).partition(" (while ")[0]
        raise ConfigurationError(
            f"{'HOST' if no_such_address else setting}: cannot listen on {host}:{port}: {reason}"
        ) from None


def _addresses(name: str) -> Sequence[tuple[socket.AddressFamily, str]]:
    if name == "::" and not socket.has_dualstack_ipv6():  # a kernel without IPv6, or one that keeps the families apart
        return [(socket.AF_INET6, "::"), (socket.AF_INET, "0.0.0.0")]  # noqa: S104
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, _with_zone(address)) for family, _, _, _, address in found))


def _with_zone(address: tuple[object, ...]) -> str:
    """A link-local address is one of an interface only."""
    zone = address[3] if len(address) > 3 else 0
    return f"{address[0]}%{zone}" if zone and "%" not in str(address[0]) else str(address[0])


def _bind(addresses: Sequence[tuple[socket.AddressFamily, str]], port: int) -> list[socket.socket]:
    """Leaves out addresses that this machine does not have, as long as one is left."""
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    with ExitStack() as opened:
        for family, address in addresses:
            both = family == socket.AF_INET6 and address == "::" and socket.has_dualstack_ipv6()
            try:
                listener = socket.create_server((address, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                missing = error
                continue
            opened.enter_context(listener)
            listeners.append(listener)
            port = port or listener.getsockname()[1]
        opened.pop_all()
    if missing is not None and not listeners:
        raise missing
    return listeners

"""Where a request comes from. A header tells only as far as trusted proxies wrote it."""

import ipaddress
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, NamedTuple

from app.errors import ConfigurationError

UNKNOWN = "unknown"
"""The address of a connection that has none, such as one over a Unix socket."""

_CACHED = 4096
_LONGEST = 64  # characters of an address with its zone and port


class Origin(NamedTuple):
    """Where a request comes from, as it is counted: IPv4 addresses, or IPv6 /64 networks."""

    address: str
    peer: str
    """The proxy that told the address, if it is one of a network of proxies and not named by its own address.

    Any member of such a network can tell any address, so it is held to limits of its own. Empty: there is none.
    """


class _Known(NamedTuple):
    address: str  # as it is counted
    itself: Origin  # if nobody has told it
    trusted: bool
    named: bool  # by its own address


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed, by their networks."""

    def __init__(self, networks: Sequence[str]) -> None:
        """Raises ConfigurationError for what is no network, or is every address there is."""
        self._trusted = tuple(_network(text) for text in networks)
        _check_not_everyone(self._trusted)
        self._look_up = lru_cache(_CACHED)(self._judge)

    def address_of(self, scope: Mapping[str, Any]) -> str:
        """The nearest address that is not a trusted proxy's."""
        return self.origin_of(scope).address

    def origin_of(self, scope: Mapping[str, Any]) -> Origin:
        """The nearest address that is not a trusted proxy's, and who told it.

        A household or a server has an IPv6 /64 at least; to count single addresses would count nothing.
        """
        client = scope.get("client")
        nearest = self._look_up(client[0]) if client else None
        if nearest is None:
            return Origin(UNKNOWN, "")
        teller = None
        for hop in reversed(_hops(scope)) if nearest.trusted else ():
            known = self._look_up(hop) if len(hop) <= _LONGEST else None
            if known is None:  # what a trusted proxy saw is not an address: the proxy is all that is sure
                break
            teller, nearest = nearest, known
            if not nearest.trusted:
                break
        return nearest.itself if teller is None or teller.named else Origin(nearest.address, teller.address)

    def sent(self, scope: Mapping[str, Any]) -> bool:
        """Whether the request came from a trusted proxy: its headers can be believed."""
        client = scope.get("client")
        peer = self._look_up(client[0]) if client else None
        return peer is not None and peer.trusted

    def _judge(self, text: str) -> _Known | None:
        try:
            address = _parse(text)
        except ValueError:
            return None
        networks = [network for network in self._trusted if address in network]
        named = any(network.num_addresses == 1 for network in networks)
        counted = str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)
        return _Known(counted, Origin(counted, ""), bool(networks), named)


def _hops(scope: Mapping[str, Any]) -> list[str]:
    """The addresses of all `X-Forwarded-For` headers, nearest last."""
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return [hop.strip() for hop in b",".join(values).decode("latin-1").split(",")] if values else []


def _parse(text: str) -> IPv4Address | IPv6Address:
    """An address, also as `address:port` or `[address]:port`. Raises ValueError."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        host_bits = f"; {text} has host bits set" if "host bits" in str(error) else ""
        raise ConfigurationError(
            f"TRUSTED_PROXIES: has an entry that is no address and no network such as 10.0.0.0/8{host_bits}"
        ) from None
    if network.prefixlen == 0:
        raise ConfigurationError(f"TRUSTED_PROXIES: {text} trusts everyone, who could then choose their own address")
    return network


def _check_not_everyone(networks: Sequence[IPv4Network | IPv6Network]) -> None:
    """Raises ConfigurationError for networks that are every address only together."""
    four = ipaddress.collapse_addresses(each for each in networks if isinstance(each, IPv4Network))
    six = ipaddress.collapse_addresses(each for each in networks if isinstance(each, IPv6Network))
    if any(network.prefixlen == 0 for network in four) or any(network.prefixlen == 0 for network in six):
        raise ConfigurationError(
            "TRUSTED_PROXIES: together the networks trust everyone, who could then choose their own address"
        )

"""Where a request comes from: what is believed of `X-Forwarded-For`, and of whom."""

from typing import Any

import pytest

from app.access.proxies import UNKNOWN, Proxies
from app.errors import ConfigurationError


def address(networks: tuple[str, ...], peer: str | None, *forwarded: str) -> str:
    scope: dict[str, Any] = {
        "client": None if peer is None else (peer, 1234),
        "headers": [(b"host", b"x"), *((b"x-forwarded-for", value.encode("latin-1")) for value in forwarded)],
    }
    return Proxies(networks).address_of(scope)


PROXY = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("networks", "peer", "forwarded", "expected"),
    [
        ((), "192.0.2.1", (), "192.0.2.1"),
        ((), "192.0.2.1", ("203.0.113.9",), "192.0.2.1"),
        (PROXY, "192.0.2.1", ("203.0.113.9",), "192.0.2.1"),
        (PROXY, "10.0.0.1", (), "10.0.0.1"),
        (PROXY, "10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        (PROXY, "10.0.0.1", ("1.1.1.1, 203.0.113.9",), "203.0.113.9"),
        (PROXY, "10.0.0.1", ("1.1.1.1", "203.0.113.9"), "203.0.113.9"),
        (PROXY, "10.0.0.1", ("1.1.1.1, 203.0.113.9, 10.9.9.9",), "203.0.113.9"),
        (PROXY, "10.0.0.1", ("10.1.1.1, 203.0.113.9",), "203.0.113.9"),
        (PROXY, "10.0.0.1", ("10.1.1.1,10.2.2.2",), "10.1.1.1"),
        (PROXY, "10.0.0.1", ("203.0.113.9, nonsense",), "10.0.0.1"),
        (PROXY, "10.0.0.1", ("203.0.113.9, nonsense, 10.2.2.2",), "10.2.2.2"),
        (PROXY, "10.0.0.1", ("",), "10.0.0.1"),
        (PROXY, "10.0.0.1", (",,,",), "10.0.0.1"),
        (PROXY, "10.0.0.1", ("\xff\xfe",), "10.0.0.1"),
        (PROXY, "10.0.0.1", ("9" * 100_000,), "10.0.0.1"),
        (PROXY, "10.0.0.1", ("203.0.113.9:5555",), "203.0.113.9"),
        (PROXY, "10.0.0.1", ("[2001:db8::5]:5555",), "2001:db8::/64"),
        (PROXY, "::ffff:10.0.0.1", ("203.0.113.9",), "203.0.113.9"),
        (PROXY, "fd00::1", ("2001:db8:1:2:3:4:5:6",), "2001:db8:1:2::/64"),
        ((), "fe80::1%eth0", (), "fe80::/64"),
        (PROXY, None, ("203.0.113.9",), UNKNOWN),
        (PROXY, "testclient", ("203.0.113.9",), UNKNOWN),
    ],
)
def test_the_address_is_the_nearest_that_no_trusted_proxy_has(
    networks: tuple[str, ...], peer: str | None, forwarded: tuple[str, ...], expected: str
) -> None:
    assert address(networks, peer, *forwarded) == expected


@pytest.mark.parametrize(
    ("networks", "peer", "forwarded", "teller"),
    [
        ((), "192.0.2.1", "203.0.113.9", ""),
        (PROXY, "10.0.0.1", "", ""),
        (PROXY, "10.0.0.1", "203.0.113.9", "10.0.0.1"),
        (PROXY, "10.0.0.1", "203.0.113.9, 10.9.9.9", "10.9.9.9"),
        (("10.0.0.1",), "10.0.0.1", "203.0.113.9", ""),
        (("10.0.0.1/32", "10.0.0.0/8"), "10.0.0.1", "203.0.113.9", ""),
        (("10.0.0.1/32", "10.0.0.0/8"), "10.0.0.1", "203.0.113.9, 10.9.9.9", "10.9.9.9"),
        (("fd00::1",), "fd00::1", "203.0.113.9", ""),
        (PROXY, "fd00::1", "203.0.113.9", "fd00::/64"),
        (PROXY, "10.0.0.1", "nonsense", ""),
    ],
)
def test_who_told_an_address_is_known_unless_it_is_named_itself(
    networks: tuple[str, ...], peer: str, forwarded: str, teller: str
) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert Proxies(networks).origin_of({"client": (peer, 1234), "headers": headers}).peer == teller


@pytest.mark.parametrize("networks", [("0.0.0.0/1", "128.0.0.0/1"), ("::/1", "10.0.0.0/8", "8000::/1")])
def test_networks_that_are_everyone_together_stop_the_start(networks: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"^TRUSTED_PROXIES: "):
        Proxies(networks)


@pytest.mark.parametrize("network", ["proxy", "10.0.0.1/8", "10.0.0.0/33", "0.0.0.0/0", "::/0", ""])
def test_what_is_no_network_or_every_address_stops_the_start(network: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^TRUSTED_PROXIES: "):
        Proxies([network])

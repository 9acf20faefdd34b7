"""The addresses that HOST names: one, all of both families, or those of a name."""

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from app.errors import ConfigurationError
from app.http.sockets import listen
from tests.conftest import Serve


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def reach(port: int, address: str) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "v4", "v6"),
    [
        ("127.0.0.1", True, False),
        ("0.0.0.0", True, False),
        ("::1", False, True),
        ("[::1]", False, True),
        ("::", True, True),
        ("[::]", True, True),
        ("localhost", True, None),  # as the machine's hosts file has it
    ],
)
def test_a_host_is_listened_on_by_its_families(opened: ExitStack, host: str, v4: bool, v6: bool | None) -> None:
    sockets = [opened.enter_context(one) for one in listen(host, 0, "PORT")]
    port = sockets[0].getsockname()[1]
    assert {one.getsockname()[1] for one in sockets} == {port}
    assert reach(port, "127.0.0.1") is v4
    if v6 is not None:
        assert reach(port, "::1") is v6


def test_both_families_are_one_where_the_machine_has_no_ipv6(
    opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel with ipv6.disable=1: `::` is the chart's default, and its pods have to start there."""
    create = socket.create_server

    def without_ipv6(address: tuple[str, int], *, family: int, **more: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return create(address, family=family, **more)

    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    monkeypatch.setattr(socket, "create_server", without_ipv6)
    [listener] = [opened.enter_context(one) for one in listen("::", 0, "PORT")]
    assert reach(listener.getsockname()[1], "127.0.0.1")


def test_a_name_of_several_addresses_is_listened_on_at_all_that_are_here(
    opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def addresses(*_: object, **__: object) -> list[object]:
        stream = (socket.SOCK_STREAM, 6, "")
        four = [(socket.AF_INET, *stream, (address, 0)) for address in ("203.0.113.7", "127.0.0.1", "127.0.0.1")]
        return [(socket.AF_INET6, *stream, ("::1", 0, 0, 0)), *four]

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    sockets = [opened.enter_context(one) for one in listen("a.name", 0, "PORT")]
    assert [one.getsockname()[0] for one in sockets] == ["::1", "127.0.0.1"]
    assert len({one.getsockname()[1] for one in sockets}) == 1


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid", "2001:db8::7", "300.1.2.3", "[::1"])
def test_an_address_that_is_not_here_is_told_by_its_setting(host: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^HOST: cannot listen on "):
        listen(host, 0, "PORT")


@pytest.mark.parametrize("host", ["127.0.0.1", "::"])
def test_a_port_that_is_taken_is_told_by_its_setting(opened: ExitStack, host: str) -> None:
    [taken] = [opened.enter_context(one) for one in listen(host, 0, "PORT")]
    with pytest.raises(ConfigurationError, match=r"^METRICS_PORT: cannot listen on "):
        listen(host, taken.getsockname()[1], "METRICS_PORT")


def test_both_families_are_served_and_have_the_same_address_in_the_log(serve: Serve) -> None:
    service = serve(host="::")
    for address in ("127.0.0.1", "[::1]"):
        assert httpx.get(f"http://{address}:{service.port}/live", trust_env=False).status_code == 200
        assert httpx.get(f"http://{address}:{service.metrics_port}/metrics", trust_env=False).status_code == 200
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as connection:
            connection.connect((address, service.port))
            connection.sendall(b"nonsense\r\n\r\n")
            assert connection.recv(13) == b"HTTP/1.1 400 "
        service.wait_for_event("request", status=400, peer=address)

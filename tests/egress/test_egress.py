"""Requests to URLs that callers name."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from app.egress.connecting import MOST_AT_ONCE
from app.egress.egress import Egress
from app.egress.reasons import reason_of
from app.tls import client_context
from tests.certificates import Authority

LOOPBACK = "127.0.0.1"


def answering(*answers: Sequence[str]) -> Any:
    """A name server that answers each question by the next of these, and then by the last."""
    left = list(answers)

    def look_up(host: str, port: int, *_: object) -> list[Any]:
        addresses = left.pop(0) if len(left) > 1 else left[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in addresses
        ]

    return look_up


def egress(*hosts: str, look_up: Any = socket.getaddrinfo, ca_file: str | None = None) -> Egress:
    return Egress(hosts, client_context(strict=True, ca_file=ca_file), seconds=5, look_up=look_up)


class Receiver:
    """A server on loopback that says who called."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(request.path)
        if request.path == "/redirect":
            raise web.HTTPFound(f"http://{LOOPBACK}:{self.port}/inside")
        return web.Response(text="hello", headers={"Set-Cookie": "a=b"})

    async def start(self, **options: Any) -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, LOOPBACK, 0, **options)
        await site.start()
        self.port = runner.addresses[0][1]
        return runner


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    runner = await made.start()
    yield made
    await runner.cleanup()


async def sent(made: Egress, url: str | URL) -> int | str:
    """The status of the answer, or why there is none."""
    checked = made.check_url(url) if isinstance(url, str) else url
    try:
        async with made.request("GET", checked, None, {}) as response:
            return response.status
    except (aiohttp.ClientError, TimeoutError) as error:
        return reason_of(error)
    finally:
        await made.aclose()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://hooks.example/", "is not an https:// address"),
        ("ftp://hooks.example/", "is not an http:// or https:// address"),
        ("file:///etc/passwd", "is not an http:// or https:// address"),
        ("https://ada:s3cret@hooks.example/", "contains a user name or a password"),
        ("https://127.0.0.1/", "without a public address"),
        ("https://127.1/", "without a public address"),
        ("https://2130706433/", "without a public address"),
        ("https://169.254.169.254/latest/meta-data", "without a public address"),
        ("https://[::1]/", "without a public address"),
        ("https://[::ffff:10.0.0.1]/", "without a public address"),
        ("https://[64:ff9b::1]/", "without a public address"),
        ("https://[fe80::1%25eth0]/", "without a public address"),
        ("https://a b/", "white space"),
        ("https://", "does not name a host"),
        ("https://hooks.example:0/", "port 0"),
        (f"https://hooks.example/{'x' * 2048}", "more than 2048 characters"),
    ],
)
async def test_urls_that_nothing_is_sent_to_are_refused_without_being_repeated(url: str, problem: str) -> None:
    made = egress(look_up=answering(["8.8.8.8"]))
    with pytest.raises(ValueError, match=problem) as refused:
        await made.check(url)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["10.0.0.1"], ["8.8.8.8", "192.168.0.1"], ["64:ff9b::808:808"], ["2002:7f00:1::"], []]
)
async def test_a_name_with_an_address_that_is_not_public_is_refused(addresses: list[str]) -> None:
    made = egress(look_up=answering(addresses))
    with pytest.raises(ValueError, match="has a host without a public address"):
        await made.check("https://hooks.example/")
    assert await sent(made, "https://hooks.example/") in ("address_refused", "dns")


@pytest.mark.parametrize("host", ["xn--a.example", "xn--.example", "hooks.xn--a"])
async def test_what_begins_like_a_name_of_another_script_and_is_none_is_a_host_that_there_is_not(host: str) -> None:
    made = egress(look_up=socket.getaddrinfo)
    url = made.check_url(f"https://{host}/")
    assert await sent(made, url) == "dns"


async def test_a_public_name_passes() -> None:
    made = egress(look_up=answering(["8.8.8.8", "2606:4700::1"]))
    await made.check("https://hooks.example:8443/in?a=b#c")
    await made.aclose()


async def test_a_name_that_moves_to_loopback_after_the_check_is_not_connected_to(receiver: Receiver) -> None:
    made = egress(look_up=answering(["8.8.8.8"], ["127.0.0.1"]))
    url = f"https://hooks.example:{receiver.port}/"
    await made.check(url)
    assert await sent(made, url) == "address_refused"
    assert receiver.heard == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
async def test_an_address_in_a_url_that_was_not_checked_is_not_connected_to(receiver: Receiver, host: str) -> None:
    assert await sent(egress(), URL(f"http://{host}:{receiver.port}/")) == "address_refused"
    assert receiver.heard == []


@pytest.mark.parametrize(
    ("hosts", "host"), [(LOOPBACK, LOOPBACK), ("hooks.internal", "Hooks.internal."), (".internal", "a.b.internal")]
)
async def test_the_operators_hosts_may_be_inside_and_without_tls(receiver: Receiver, hosts: str, host: str) -> None:
    made = egress(hosts, look_up=answering([LOOPBACK]))
    url = f"http://{host}:{receiver.port}/in"
    await made.check(url)
    assert await sent(made, url) == 200
    assert receiver.heard == ["/in"]


async def test_names_that_are_looked_up_for_long_pass_the_check_and_keep_their_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.egress.egress.LOOK_UP_SECONDS", 0.05)
    done, asked = Event(), []

    def slow(host: str, port: int, *_: object) -> list[Any]:
        asked.append(host)
        done.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]

    made = egress(look_up=slow)
    names = [f"https://{number}.example/" for number in range(MOST_AT_ONCE + 5)]
    await asyncio.gather(*map(made.check, names))
    assert len(asked) == MOST_AT_ONCE
    done.set()
    monkeypatch.setattr("app.egress.egress.LOOK_UP_SECONDS", 20.0)
    await made.check("https://another.example/")
    assert asked[-1] == "another.example"


async def test_a_redirect_is_an_answer_and_not_followed(receiver: Receiver) -> None:
    assert await sent(egress(LOOPBACK), f"http://{LOOPBACK}:{receiver.port}/redirect") == 302
    assert receiver.heard == ["/redirect"]


async def test_proxies_of_the_environment_are_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert await sent(egress(LOOPBACK), f"http://{LOOPBACK}:{receiver.port}/") == 200


async def test_certificates_are_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    secure = Receiver()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.issue("hooks.internal"))
    runner = await secure.start(ssl_context=context)
    for host, ca_file, expected in (
        ("hooks.internal", str(authority.certificate), 200),
        ("other.internal", str(authority.certificate), "certificate"),
        ("hooks.internal", None, "certificate"),
    ):
        made = egress(".internal", look_up=answering([LOOPBACK]), ca_file=ca_file)
        assert await sent(made, f"https://{host}:{secure.port}/") == expected
    assert await sent(egress(LOOPBACK), f"http://{LOOPBACK}:{secure.port}/") in ("broken_answer", "disconnected", 400)
    await runner.cleanup()


async def test_failures_have_their_words(receiver: Receiver) -> None:
    assert await sent(egress("gone.internal", look_up=answering([])), "http://gone.internal/") == "dns"
    assert await sent(egress(LOOPBACK), f"https://{LOOPBACK}:{receiver.port}/") == "tls"
    port = receiver.port
    assert await sent(egress(LOOPBACK), f"http://{LOOPBACK}:{port}/") == 200
    with socket.socket() as unused:
        unused.bind((LOOPBACK, 0))
        assert await sent(egress(LOOPBACK), f"http://{LOOPBACK}:{unused.getsockname()[1]}/") == "unreachable"

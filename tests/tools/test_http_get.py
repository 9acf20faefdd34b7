"""`http_get`: it reaches what is public and what is the operator's, and nothing else, by whichever way it is asked."""

import asyncio
import gzip
import socket
import time
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from typing import Any

import pytest
from aiohttp import web

from app.egress.egress import Egress
from app.messages import ToolCall
from app.settings import load
from app.telemetry.traces import Tracing
from app.tls import client_context
from app.tools import ToolContext
from app.tools.built_in.http_get import HttpGet
from app.tools.call import call_tool
from app.tools.registry import Registry
from app.tools.result import ToolResult
from tests.doubles import ADA
from tests.egress.test_egress import answering

HERE = "127.0.0.1"
BOMB = gzip.compress(b"x" * 100_000_000, 9)  # 100 kB

TLS = client_context(strict=True)

Handler = Callable[[web.Request], Any]


class Site:
    """A server on loopback, as if it were the internet's."""

    def __init__(self) -> None:
        self.heard: list[web.Request] = []
        self.port = 0
        self.pages: dict[str, Handler] = {}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.heard.append(request)
        page = self.pages.get(request.path)
        return web.Response(text="hello") if page is None else await _called(page, request)

    def url(self, path: str = "/") -> str:
        return f"http://{HERE}:{self.port}{path}"

    def says(self, path: str, body: bytes = b"", status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = lambda _: web.Response(body=body, status=status, headers=named)


async def _called(page: Handler, request: web.Request) -> web.StreamResponse:
    made = page(request)
    response: web.StreamResponse = await made if hasattr(made, "__await__") else made
    return response


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


async def get(url: str, *hosts: str, look_up: Any = socket.getaddrinfo, **settings: Any) -> ToolResult:
    made = HttpGet(load(None, http_get_hosts=",".join(hosts), **settings))
    vars(made)["_egress"] = Egress(hosts, TLS, seconds=5, look_up=look_up)
    try:
        return await call_tool(
            Registry([made.tool()]),
            ToolContext(ADA, "a-run"),
            ToolCall("1", "http_get", {"url": url}),
            slot=lambda _: nullcontext(),
            tracing=Tracing(None),
        )
    finally:
        await made.aclose()


async def test_a_page_is_told_as_its_text_with_its_source(site: Site) -> None:
    site.says("/a", "<p>Zoë</p>".encode(), Content_Type="text/html; charset=utf-8")
    result = await get(site.url("/a#part"), HERE)
    assert (result.content, result.sources) == ("<p>Zoë</p>", (site.url("/a"),))


async def test_a_request_carries_nothing_of_the_service(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    site.says("/a", b"a", Content_Type="text/plain", Set_Cookie="a=b; Path=/")
    assert (await get(site.url("/a"), HERE)).status == "ok"
    [request] = site.heard
    assert request.method == "GET"
    assert request.headers["User-Agent"].startswith("agent-api/")
    assert not {"Cookie", "Authorization", "Traceparent", "X-Request-Id", "Referer"} & set(request.headers)


@pytest.mark.parametrize(
    "url",
    [
        "http://docs.example/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://0/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://[::1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:7f00:1::]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fc00::1]/",
        "https://[ff02::1]/",
        "https://[fd00:ec2::254]/latest/meta-data",
        "https://169.254.169.254/latest/meta-data",
        "https://169.254.170.2/v2/credentials",
        "https://2852039166/latest/meta-data",
        "https://0xa9fea9fe/",
        "https://0251.0376.0251.0376/",
        "https://[::ffff:169.254.169.254]/",
        "https://100.100.100.200/latest/meta-data",
        "https://100.64.0.1/",
        "https://168.63.129.16/",
        "https://192.0.0.192/",
        "https://10.0.0.1/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.168.1.1/",
        "https://198.18.0.1/",
        "https://224.0.0.1/",
        "https://240.0.0.1/",
        "https://255.255.255.255/",
        "https://①②⑦.⓪.⓪.①/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://127\u30020\u30020\u30021/",
        "https://8.8.8.8:22/",
        "https://8.8.8.8:6379/",
        "https://docs.example:80/",
        "https://docs.example:8443/",
        "https://ada:pw@docs.example/",
        "https://docs.example@127.0.0.1/",
        "https://docs.example\\@127.0.0.1/",
        "https://docs.example /",
        "https://docs.example\r\nHost: x/",
        "https:///etc/passwd",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "ftp://docs.example/",
        "data:text/plain,hello",
        "javascript:alert(1)",
        "//docs.example/",
        "docs.example",
        "",
        "https://" + "a" * 300 + ".example/",
    ],
)
async def test_what_is_not_public_is_not_asked(url: str) -> None:
    loopback = answering([HERE])
    result = await get(url, look_up=loopback)
    assert result.status == "error"
    assert "s3cret" not in result.content


@pytest.mark.parametrize(
    "addresses",
    [
        [HERE],
        ["8.8.8.8", HERE],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["100.64.1.1"],
        ["::1"],
        ["fe80::1"],
        ["fd00::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
        ["0.0.0.0"],
    ],
)
async def test_a_name_that_leads_inside_is_not_asked(addresses: list[str]) -> None:
    result = await get("https://docs.example/", look_up=answering(addresses))
    assert result.content == "Nothing came of it: its host has no public address."


async def test_a_name_that_moves_inside_between_two_looks_is_not_asked(site: Site) -> None:
    """DNS rebinding: what counts is the address that is connected to."""
    look_up = answering(["8.8.8.8"], [HERE])
    made = HttpGet(load(None))
    egress = vars(made)["_egress"] = Egress((), TLS, seconds=5, look_up=look_up)
    await egress.check("https://docs.example/")  # the first look
    call = ToolCall("1", "http_get", {"url": "https://docs.example/"})
    result = await call_tool(
        Registry([made.tool()]), ToolContext(ADA, "r"), call, slot=lambda _: nullcontext(), tracing=Tracing(None)
    )
    await made.aclose()
    assert "no public address" in result.content
    assert site.heard == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed_and_checked_anew(site: Site, status: int) -> None:
    site.says("/from", status=status, Location="/to")
    site.says("/to", b"there", Content_Type="text/plain")
    assert (await get(site.url("/from"), HERE)).content == "there"


async def test_a_redirect_to_the_inside_is_not_followed(site: Site) -> None:
    for inside in (
        "https://169.254.169.254/",
        "http://localhost/",
        "https://127.0.0.2/",
        "file:///etc/passwd",
        "//10.0.0.1/",
    ):
        site.says("/from", status=302, Location=inside)
        assert (await get(site.url("/from"), HERE)).status == "error", inside
    assert {request.path for request in site.heard} == {"/from"}


async def test_redirects_without_end_are_ended(site: Site) -> None:
    site.says("/from", status=302, Location="/from")
    assert (await get(site.url("/from"), HERE)).content == "There are more than 5 redirects."
    assert len(site.heard) == 6


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("image/png", b"\x89PNG"),
        ("application/octet-stream", b"x"),
        ("application/pdf", b"%PDF"),
        ("text/plain", b"a\0b"),
        ("", b"x"),
        ("text", b"x"),
        ("multipart/form-data", b"x"),
    ],
)
async def test_what_is_no_text_is_refused(site: Site, kind: str, body: bytes) -> None:
    site.says("/a", body, Content_Type=kind)
    assert "no text" in (await get(site.url("/a"), HERE)).content


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("application/json", b'{"a": 1}', '{"a": 1}'),
        ("application/ld+json; charset=utf-8", b"{}", "{}"),
        ("text/html; charset=iso-8859-1", "Zoë".encode("latin-1"), "Zoë"),
        ("text/plain; charset=utf-16", "Zoë".encode("utf-16"), "Zoë"),
        ("text/plain; charset=zip", b"plain", "plain"),
        ("text/plain; charset=unicode_escape", b"\\x41", "\\x41"),
        ("text/plain", b"\xff", "\ufffd"),
    ],
)
async def test_text_is_read_by_its_charset_and_no_other_codec(site: Site, kind: str, body: bytes, text: str) -> None:
    site.says("/a", body, Content_Type=kind)
    assert (await get(site.url("/a"), HERE)).content == text


@pytest.mark.parametrize(
    ("packing", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes), ("GZIP", gzip.compress)],
)
async def test_what_comes_packed_all_the_same_is_unpacked(site: Site, packing: str, pack: Any) -> None:
    site.says("/a", pack(b"hello"), Content_Type="text/plain", Content_Encoding=packing)
    assert (await get(site.url("/a"), HERE)).content == "hello"


async def test_what_cannot_be_unpacked_is_refused(site: Site) -> None:
    site.says("/a", b"hello", Content_Type="text/plain", Content_Encoding="gzip")
    assert "cannot be unpacked" in (await get(site.url("/a"), HERE)).content
    site.says("/a", b"hello", Content_Type="text/plain", Content_Encoding="br")
    assert "was not asked for" in (await get(site.url("/a"), HERE)).content


async def test_of_much_the_beginning_is_told(site: Site) -> None:
    site.says("/a", b"x" * 50_000, Content_Type="text/plain")
    result = await get(site.url("/a"), HERE, http_get_bytes=2_000)
    assert result.content == "x" * 2_000 + "\n[cut: the first 2000 bytes]"


async def test_a_bomb_is_not_unpacked(site: Site) -> None:
    site.says("/a", BOMB, Content_Type="text/plain", Content_Encoding="gzip")
    started = time.process_time()
    result = await get(site.url("/a"), HERE, http_get_bytes=2_000)
    assert result.content.endswith("[cut: the first 2000 bytes]")
    assert time.process_time() - started < 1


async def test_a_server_that_drips_is_left_in_time(site: Site) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.05)
        except ConnectionError:
            return response

    site.pages["/a"] = drip
    started = time.monotonic()
    assert (await get(site.url("/a"), HERE, http_get_seconds=0.4)).content == "There was no answer in time."
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("status", [204, 401, 404, 500, 304])
async def test_other_answers_are_named(site: Site, status: int) -> None:
    site.says("/a", status=status)
    assert (await get(site.url("/a"), HERE)).content == f"The server answered with the status {status}."


async def test_nothing_there_is_said_plainly() -> None:
    with socket.socket() as unused:
        unused.bind((HERE, 0))
        url = f"http://{HERE}:{unused.getsockname()[1]}/"
        assert (await get(url, HERE)).content == "Nothing came of it: the server cannot be reached."
    assert "no such host" in (await get("https://docs.example/", look_up=answering([]))).content

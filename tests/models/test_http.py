"""The shared session."""

import asyncio
import time

import pytest

from app.errors import ModelUnavailable
from app.models.providers import http as http_module
from app.models.providers.http import Http, drain, read
from app.telemetry.context import RequestContext, current
from app.telemetry.propagation import Propagation
from app.telemetry.traces import Tracing
from tests.models.servers import Provider, Reply


async def get(http: Http, url: str) -> bytes:
    async with http.call("GET", url, None, {}) as response:
        return await read(response)


async def test_a_session_that_was_never_used_can_be_closed() -> None:
    await Http().aclose()


async def test_an_address_where_nobody_answers_is_given_up_soon() -> None:
    http = Http(connect_seconds=0.2)
    started = time.monotonic()
    with pytest.raises(ModelUnavailable) as caught:
        await get(http, "http://192.0.2.1/")  # kept for documentation: it leads nowhere
    assert caught.value.reason in ("connect_timeout", "unreachable")
    assert time.monotonic() - started < 3
    await http.aclose()


async def test_a_name_that_does_not_resolve(http: Http) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        await get(http, "http://no-such-host.invalid/")
    assert caught.value.reason == "dns"


async def test_a_body_that_is_far_too_large(http: Http, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "MAX_ANSWER_BYTES", 1000)
    provider.will(Reply([b"x" * 1000]), Reply([b"x" * 600, b"x" * 600]))
    assert len(await get(http, provider.url)) == 1000
    with pytest.raises(ModelUnavailable) as caught:
        await get(http, provider.url)
    assert caught.value.reason == "broken_answer"


async def test_an_error_body_without_end_is_not_waited_for_beyond_the_deadline(http: Http, provider: Provider) -> None:
    provider.will(Reply([b"oops"], 500, ending="silent"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await get(http, provider.url)


async def test_the_environments_proxy_is_used(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", provider.url)
    provider.will(Reply([b"hello"]))
    http = Http()
    assert await get(http, "http://far.example/path") == b"hello"
    assert provider.received[0].path == "http://far.example/path"
    await http.aclose()


async def test_cookies_are_not_kept(http: Http, provider: Provider) -> None:
    provider.will(Reply([b"hello"], headers={"Set-Cookie": "a=b"}))
    await get(http, provider.url)
    await get(http, provider.url)
    assert "cookie" not in provider.received[1].headers


async def test_any_success_is_one(http: Http, provider: Provider) -> None:
    provider.will(Reply([b"hello"], 201))
    assert await get(http, provider.url) == b"hello"


@pytest.mark.parametrize("ending", ["reset", "cut", "silent"])
async def test_what_happens_after_the_end_of_an_answer_is_no_failure(
    http: Http, provider: Provider, ending: str
) -> None:
    provider.will(Reply([b"hello"]).ending_with(ending))  # type: ignore[arg-type]
    async with http.call("GET", provider.url, None, {}) as response:
        assert await response.content.readexactly(5) == b"hello"
        await drain(response)


async def test_a_server_that_may_know_is_told_of_the_request(provider: Provider) -> None:
    provider.will(Reply([b"hello"]))
    told_of, not_told_of = Http(tracing=Tracing(None, Propagation(["127.0.0.1"]))), Http()
    token = current.set(RequestContext("request-1", "0af7651916cd43dd8448eb211c80319c"))
    await get(told_of, provider.url)
    await get(not_told_of, provider.url)
    current.reset(token)
    await get(told_of, provider.url)
    told, *not_told = (request.headers for request in provider.received)
    assert (told["x-request-id"], told["traceparent"][-3:]) == ("request-1", "-00")
    for headers in not_told:
        assert not {"x-request-id", "traceparent"} & headers.keys()
    await told_of.aclose()
    await not_told_of.aclose()

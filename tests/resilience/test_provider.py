"""The provider does what it is told, and counts what it did."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.resilience.account import Account
from tests.resilience.acts import WHOLE, answer, broken_off, error
from tests.resilience.provider import Provider
from tests.resilience.schedules import in_turn

PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages", "ollama": "/api/chat"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def ask(provider: Provider, model: str, *, stream: bool, api: str = "openai", timeout: float = 5) -> httpx.Response:
    body = {"model": model, "stream": stream, "messages": []}
    with httpx.Client(base_url=provider.url, timeout=timeout, trust_env=False, verify=False) as client:
        return client.post(PATHS[api], json=body)


def over(provider: Provider, model: str) -> Account:
    provider.wait_until(lambda _: provider.open_calls() == 0)
    return provider.accounts[model]


@pytest.mark.parametrize("api", PATHS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_no_failure_is_named_after_answers(provider: Provider, api: str, stream: bool) -> None:
    response = ask(provider, "well", stream=stream, api=api)
    assert response.status_code == 200
    assert all(word in response.text for word in WHOLE.split())
    account = over(provider, "well")
    assert (account.calls, account.told_calls, account.told_output) == (1, 1, 4)


def test_a_cut_stream_is_billed_for_what_was_written(provider: Provider) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        ask(provider, "cut", stream=True)
    account = over(provider, "cut")
    assert (account.cut_calls, account.cut_output, account.told_calls, account.left) == (1, 2, 0, 0)
    assert account.cut_input > 0


@pytest.mark.parametrize(
    ("model", "failure"),
    [
        ("reset-before-headers", httpx.ReadError),
        ("reset-in-headers", httpx.ReadError),
        ("closed-before-headers", httpx.RemoteProtocolError),
        ("not-http", httpx.RemoteProtocolError),
        ("cut-by-reset", httpx.ReadError),
    ],
)
def test_connections_break_as_they_should(provider: Provider, model: str, failure: type[Exception]) -> None:
    with pytest.raises(failure):
        ask(provider, model, stream=True)


def test_a_caller_that_hangs_up_is_noticed_at_once(provider: Provider) -> None:
    with pytest.raises(httpx.ReadTimeout):
        ask(provider, "silent-at-once", stream=True, timeout=0.2)
    assert provider.wait_until(lambda _: provider.open_calls() == 0) < 0.5
    assert provider.accounts["silent-at-once"].left == 1


def test_a_schedule_goes_by_the_number_of_the_call(provider: Provider) -> None:
    provider.does("some", in_turn(lambda _: error(500), answer, broken_off))
    assert [ask(provider, "some", stream=False).status_code for _ in range(2)] == [500, 200]
    assert (provider.accounts["some"].refused, provider.accounts["some"].told_calls) == (1, 1)


def test_a_stopped_provider_refuses_connections_until_it_is_resumed(provider: Provider) -> None:
    provider.stop()
    with pytest.raises(httpx.ConnectError):
        ask(provider, "well", stream=False)
    since = provider.resume()
    assert ask(provider, "well", stream=False).status_code == 200
    assert provider.accounts["well"].begun[0] >= since
    assert time.monotonic() - since < 5

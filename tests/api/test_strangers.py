"""Callers without credentials: whatever one of them does, others are served, and it costs little."""

import json
import re
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from app.access.api_keys import fingerprint, new_secret
from tests.conftest import Serve
from tests.limits.priced_provider import MODEL
from tests.limits.silent_provider import SilentProvider
from tests.redis_server import RedisServer
from tests.service import Service, problem_of

ELSEWHERE = "127.0.0.2"
HEAVY = json.dumps({"message": "hi", **{f"key-{n}": 1 for n in range(60_000)}}).encode()


@pytest.fixture
def provider() -> Iterator[SilentProvider]:
    with SilentProvider() as provider:
        yield provider


@pytest.fixture
def paid(serve: Serve, provider: SilentProvider) -> Service:
    """With the default limits, a budget of $4, and a model that costs money."""
    return serve(budget_global_day_usd=4, max_tokens=8192, **priced(provider))


def priced(provider: SilentProvider) -> dict[str, str]:
    return {"models": MODEL, "anthropic_base_url": provider.url, "anthropic_api_key": "sk-test"}


def other(service: Service, address: str = ELSEWHERE) -> httpx.Client:
    transport = httpx.HTTPTransport(local_address=address, verify=False)
    return httpx.Client(base_url=service.url, transport=transport, timeout=30)


def leave_open(service: Service, message: str) -> socket.socket:
    """A plain request whose answer nobody waits for."""
    body = json.dumps({"message": message}).encode()
    head = b"POST /chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    connection = socket.create_connection(("127.0.0.1", service.port))
    connection.sendall(head + body)
    return connection


def statuses(connections: list[socket.socket]) -> list[bytes]:
    """Of those that were answered."""
    answered = []
    for connection in connections:
        connection.settimeout(0.01)
        try:
            answered.append(connection.recv(65536)[9:12])
        except TimeoutError:
            continue
    return answered


def test_open_runs_of_one_address_leave_the_budget_to_others(paid: Service, provider: SilentProvider) -> None:
    connections = [leave_open(paid, "silence") for _ in range(150)]
    end = time.monotonic() + 20
    while len(paid.log("request", status=429)) < 100 and time.monotonic() < end:
        time.sleep(0.05)
    refused = statuses(connections)
    assert set(refused) == {b"429"}
    assert 100 <= len(refused) < 150
    with other(paid) as elsewhere:
        answer = elsewhere.post("/chat", json={"message": "hi"})
        assert answer.status_code == 200, answer.text
        assert elsewhere.get("/usage").json()["budgets"][0]["usd"]["limit"] == 1.0
    (standing,) = paid.ask("GET", "/usage").json()["budgets"]
    assert 0.5 < standing["usd"]["reserved"] <= 1.0
    problem = problem_of(paid.chat("hi"), 429, "budget-exceeded")
    assert "share" in problem["detail"]
    for connection in connections:
        connection.close()


def test_no_address_has_more_than_so_many_requests_open(serve: Serve, provider: SilentProvider) -> None:
    service = serve(models=MODEL, anthropic_base_url=provider.url, anthropic_api_key="sk-test", anonymous_concurrent=5)
    connections = [leave_open(service, "silence") for _ in range(20)]
    end = time.monotonic() + 10
    while len(service.log("request", status=429)) < 15 and time.monotonic() < end:
        time.sleep(0.05)
    assert statuses(connections) == [b"429"] * 15
    with other(service) as elsewhere:
        assert elsewhere.post("/chat", json={"message": "hi"}).status_code == 200
    assert service.client.get("/live").status_code == 200
    for connection in connections:
        connection.close()
    end = time.monotonic() + 10
    while service.chat("hi").status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_calls_that_are_aborted_book_what_can_have_been_written(paid: Service, provider: SilentProvider) -> None:
    """Whole, each could have cost four cents."""
    for _ in range(10):
        connections = [leave_open(paid, "silence") for _ in range(10)]
        asked = len(provider.calls)
        end = time.monotonic() + 5
        while len(provider.calls) < asked + 5 and time.monotonic() < end:
            time.sleep(0.02)
        for connection in connections:
            connection.close()
        time.sleep(0.3)
    paid.wait_for_event("llm_call", uncertain=True)
    usage = paid.ask("GET", "/usage").json()
    (row,) = usage["usage"]
    assert row["calls"] >= 50
    assert row["uncertain_tokens"] == row["input_tokens"] + row["output_tokens"] > 0
    assert 0 < usage["cost_usd"] < row["calls"] * 0.002
    metrics = paid.metrics()
    assert metrics[f'agent_uncertain_tokens_total{{model="{MODEL}",type="input"}}'] == row["input_tokens"]


def test_a_provider_that_cannot_be_reached_books_nothing(serve: Serve) -> None:
    service = serve(models=MODEL, anthropic_base_url="http://127.0.0.1:1", anthropic_api_key="sk-test")
    assert service.chat("hi").status_code == 503
    assert service.ask("GET", "/usage").json() == {"usage": [], "tokens": 0, "cost_usd": 0, "budgets": []}


def test_who_sends_what_is_refused_is_soon_refused_unread(serve: Serve) -> None:
    service = serve()
    json_ = {"Content-Type": "application/json"}
    seen = [service.client.post("/chat", content=HEAVY, headers=json_).status_code for _ in range(50)]
    assert seen.count(422) >= 10
    assert seen[-1] == 429
    refused = service.client.post("/chat", content=HEAVY, headers=json_)
    assert problem_of(refused, 429, "rate-limited")["violated-policies"] == ["refused"]
    assert int(refused.headers["Retry-After"]) >= 1
    with other(service) as elsewhere:
        assert elsewhere.post("/chat", json={"message": "hi"}).status_code == 200
    assert service.metrics()['agent_rate_limited_total{scope="refused"}'] >= 2


@pytest.mark.parametrize("body", [b"", b"no JSON"])
def test_every_kind_of_refusal_counts(serve: Serve, body: bytes) -> None:
    service = serve(refused_per_minute=5)
    kinds = {"Content-Type": "application/json" if body else "text/plain"}
    seen = [service.client.post("/chat", content=body, headers=kinds).status_code for _ in range(8)]
    assert seen == [422 if body else 415] * 5 + [429] * 3


def test_strangers_do_not_keep_out_who_can_show_a_key(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> None:
    secret, keys = new_secret(), tmp_path_factory.mktemp("keys") / "keys.jsonl"
    keys.write_text(json.dumps({"sha256": fingerprint(secret), "name": "a", "user": "ada", "scopes": ["chat"]}) + "\n")
    service = serve(auth="api-key", api_keys_file=keys, refused_per_minute=5)
    seen = [service.chat("hi").status_code for _ in range(8)]
    assert seen == [401] * 5 + [429] * 3
    ada = {"Authorization": f"Bearer {secret}"}
    assert service.client.post("/chat", json={"message": "hi"}, headers=ada).status_code == 200
    seen = [service.client.post("/chat", json={"massage": "hi"}, headers=ada).status_code for _ in range(8)]
    assert seen == [422] * 5 + [429] * 3


@pytest.mark.parametrize(
    ("trusted", "admitted"), [("127.0.0.0/8", 30), ("127.0.0.1", 40), ("127.0.0.1/32,127.0.0.0/8", 40)]
)
def test_a_network_of_proxies_is_limited_itself(serve: Serve, trusted: str, admitted: int) -> None:
    service = serve(trusted_proxies=trusted, limits='{"tiers": {"default": {"user": {"per_minute": 3}}}}')
    seen = [
        service.client.post("/chat", json={"message": "hi"}, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
        for n in range(40)
    ]
    assert seen.count(200) == admitted


def test_a_network_of_proxies_leaves_part_of_the_budget_to_others(serve: Serve, provider: SilentProvider) -> None:
    service = serve(budget_global_day_usd=0.2, trusted_proxies="127.0.0.0/8", **priced(provider))
    seen = [
        service.client.post("/chat", json={"message": "hi"}, headers={"X-Forwarded-For": f"192.0.2.{n}"})
        for n in range(60)
    ]
    assert problem_of(seen[-1], 429, "budget-exceeded")["budget"] == "peer"
    with other(service) as elsewhere:
        assert elsewhere.post("/chat", json={"message": "hi"}).status_code == 200


def test_made_up_names_make_no_keys(serve: Serve, redis_server: RedisServer) -> None:
    redis_server.ask("FLUSHALL")
    service = serve(redis_url=redis_server.url)
    for number in range(300):
        assert service.chat("hi", user_id=f"name-{number}").status_code == 200
    assert service.chat("hi").status_code == 200
    keys = re.findall(rb"^\{limits\}:usage:\S+", redis_server.ask("KEYS {limits}:usage:*"), re.MULTILINE)
    assert len(keys) == 2
    rows = service.ask("GET", "/usage?user_id=name-3").json()["usage"]
    assert [(row["user"], row["calls"]) for row in rows] == [("name-3", 1)]
    (rest,) = service.ask("GET", "/usage").json()["usage"]
    assert rest["user"] == "anonymous"
    assert 1 < rest["calls"] < 100  # its own, and those of the names that were too many
    with other(service) as elsewhere:
        assert elsewhere.get("/usage?user_id=name-3").json()["usage"] == []


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("GET", "/sessions/s", "sessions"),
        ("DELETE", "/sessions/s", "sessions"),
        ("GET", "/usage", "usage"),
        ("GET", "/api/tools", None),
    ],
)
def test_reading_is_limited_like_asking(serve: Serve, method: str, path: str, operation: str | None) -> None:
    service = serve(limits='{"tiers": {"default": {"user": {"per_minute": 3, "concurrent": 1}}}}')
    seen = [service.ask(method, path) for _ in range(4)]
    assert all(response.status_code in (200, 404) for response in seen[:3])
    assert problem_of(seen[3], 429, "rate-limited")["violated-policies"] == ["user"]
    if operation is None:
        return
    own = serve(limits=json.dumps({"tiers": {"default": {operation: {"per_minute": 1}}}}))
    own.ask(method, path)
    assert problem_of(own.ask(method, path), 429, "rate-limited")["violated-policies"] == [operation]
    assert own.chat("hi").status_code == 200


def test_settings_change_what_strangers_may_do(serve: Serve) -> None:
    service = serve(anonymous_per_minute=3)
    assert [service.chat("hi").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    tiers = '{"tiers": {"anonymous": {"chat": {"per_minute": 2}}, "default": {"chat": {"per_minute": 9}}}}'
    assert [serve_.chat("hi").status_code for serve_ in [serve(limits=tiers)] * 3] == [200, 200, 429]

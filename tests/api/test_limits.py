"""Limits and budgets as callers meet them: statuses, headers, problem documents, `/usage`."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Serve
from tests.redis_server import RedisServer
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, asks, says, says_whole

STREAM_HEAD = '"user";q=3;w=60, "user-concurrent";q=2;qu="concurrent-requests"'


def default_tier(everyone: Any = None, **levels: Any) -> str:
    return json.dumps({"global": everyone or {}, "tiers": {"default": levels}})


@pytest.fixture(params=["in-process", "real"])
def store(request: pytest.FixtureRequest) -> dict[str, str]:
    """Settings of a service with an empty store."""
    if request.param == "in-process":
        return {}
    server: RedisServer = request.getfixturevalue("redis_server")
    server.ask("FLUSHALL")
    return {"redis_url": server.url}


def test_an_answer_tells_where_its_caller_stands_and_a_refusal_when_to_come_back(
    serve: Serve, store: dict[str, str]
) -> None:
    service = serve(limits=default_tier(user={"per_minute": 3, "concurrent": 2}), **store)
    plain = service.chat("hi")
    assert plain.headers["RateLimit-Policy"] == STREAM_HEAD
    assert plain.headers["RateLimit"] == '"user";r=2;t=60, "user-concurrent";r=1'
    streamed = service.ask("POST", "/chat/stream", {"message": "hi"})
    assert streamed.headers["RateLimit"] == '"user";r=1;t=60, "user-concurrent";r=1'
    assert "headers" not in streamed.text
    assert service.ask("POST", "/agent/run", {"query": "hi"}).headers["RateLimit"].startswith('"user";r=0')
    for path, body in (
        ("/chat", {"message": "hi"}),
        ("/chat/stream", {"message": "hi"}),
        ("/agent/run", {"query": "x"}),
    ):
        refused = service.ask("POST", path, body)
        problem = problem_of(refused, 429, "rate-limited")
        assert problem["violated-policies"] == ["user"]
        seconds = int(refused.headers["Retry-After"])
        assert 50 < seconds <= 60
        assert refused.headers["RateLimit"] == f'"user";r=0;t={seconds}'
    assert service.metrics()['agent_rate_limited_total{scope="user"}'] == 3


def test_tools_are_limited_by_hand_and_within_runs(serve: Serve, upstream: Upstream, store: dict[str, str]) -> None:
    service = serve(
        models=MODEL,
        openai_base_url=f"{upstream.url}/v1",
        unknown_price="allow",
        limits=default_tier(tools={"clock": {"per_minute": 2}}),
        **store,
    )
    assert service.ask("POST", "/api/tools/clock", {}).headers["RateLimit"] == '"tool:clock";r=1;t=60'
    upstream.will(asks(("clock", {}), ("clock", {}), ("calculator", {"expression": "6*7"})), says_whole("done"))
    body = service.ask("POST", "/agent/run", {"query": "go"}).json()
    assert sorted(call["status"] for call in body["tool_calls"]) == ["error", "ok", "ok"]
    told = [message["content"] for message in upstream.calls[-1].body["messages"] if message["role"] == "tool"]
    assert sum("The limit 'tool:clock' is reached." in text for text in told) == 1
    problem_of(service.ask("POST", "/api/tools/clock", {}), 429, "rate-limited")


def test_a_stream_holds_its_place_until_it_ends(serve: Serve, upstream: Upstream, store: dict[str, str]) -> None:
    service = serve(
        models=MODEL,
        openai_base_url=f"{upstream.url}/v1",
        unknown_price="allow",
        limits=default_tier(user={"concurrent": 1}),
        **store,
    )
    upstream.will(says("one", " two").ending_with("silent"))
    with service.client.stream("POST", "/chat/stream", json={"message": "hi"}) as response:
        assert response.status_code == 200
        pieces = response.iter_bytes()  # kept: httpx closes the connection of an iterator that nobody holds
        next(pieces)
        problem = problem_of(service.chat("hi"), 429, "rate-limited")
        assert problem["violated-policies"] == ["user-concurrent"]
    upstream.will(says_whole("free again"))
    end = time.monotonic() + 5
    while (response := service.chat("hi")).status_code != 200:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_run_that_fails_gives_back_what_it_held(serve: Serve, upstream: Upstream, store: dict[str, str]) -> None:
    service = serve(
        models=MODEL,
        openai_base_url=f"{upstream.url}/v1",
        unknown_price="allow",
        limits=default_tier(user={"concurrent": 1}),
        budget_user_day_tokens=60_000,
        **store,
    )
    upstream.will(says_whole("x").with_pieces([b"{broken"]))
    for _ in range(3):
        assert service.chat("hi").status_code == 503
    (budget,) = service.ask("GET", "/usage").json()["budgets"]
    assert budget["tokens"]["reserved"] == 0
    assert budget["tokens"]["spent"] > 0  # the provider may have charged for it


def test_over_budget(serve: Serve, store: dict[str, str]) -> None:
    service = serve(budget_user_day_tokens=9_000, max_tokens=500, max_run_tokens=5_000, **store)
    spent, answers = 0, 0
    while (response := service.chat("What is 6 * 7?")).status_code == 200:
        spent += response.json()["tokens_used"]
        answers += 1
        if spent > 0.8 * 9_000 + response.json()["tokens_used"]:
            assert "X-Budget-Used" in response.headers
    assert answers > 5
    problem = problem_of(response, 429, "budget-exceeded")
    assert {name: problem[name] for name in ("budget", "period", "unit")} == {
        "budget": "user",
        "period": "day",
        "unit": "tokens",
    }
    assert int(response.headers["Retry-After"]) == problem["resets_in_seconds"] <= 86_400
    usage = service.ask("GET", "/usage").json()
    assert usage["tokens"] == spent <= 9_000
    (budget,) = usage["budgets"]
    assert budget["tokens"] == {"limit": 9000, "spent": spent, "reserved": 0}
    assert service.metrics()['agent_budget_exceeded_total{scope="user"}'] == 1
    assert service.metrics()['agent_budget_used_ratio{scope="user"}'] == pytest.approx(spent / 9_000)


def test_usage_is_by_day_and_model_and_only_ones_own(serve: Serve, store: dict[str, str]) -> None:
    service = serve(**store)
    service.chat("What is 6 * 7?", user_id="ada")
    (row,) = service.ask("GET", "/usage?user_id=ada").json()["usage"]
    assert (row["user"], row["model"], row["calls"], row["cost_usd"]) == ("ada", "demo", 2, 0.0)
    assert row["day"] == time.strftime("%Y-%m-%d", time.gmtime())
    assert service.ask("GET", "/usage?user_id=bob").json() == {"usage": [], "tokens": 0, "cost_usd": 0, "budgets": []}
    problem_of(service.ask("GET", "/admin/usage"), 403, "forbidden")
    problem_of(service.ask("GET", "/usage?days=0"), 422, "invalid-request")
    problem_of(service.ask("GET", "/usage?days=401"), 422, "invalid-request")


def test_without_the_store_a_budget_says_503_and_everything_else_goes_on(
    serve: Serve, upstream: Upstream, tmp_path: Path
) -> None:
    away = {"redis_url": "redis://127.0.0.1:1/0", "models": MODEL, "openai_base_url": f"{upstream.url}/v1"}
    budgeted: Service = serve(unknown_price="allow", budget_user_day_tokens=9_000, **away)
    for path in ("/chat", "/chat/stream"):
        refused = budgeted.ask("POST", path, {"message": "hi"})
        problem_of(refused, 503, "limits-unavailable")
        assert refused.headers["Retry-After"] == "5"
    problem_of(budgeted.ask("GET", "/usage"), 503, "state-unavailable")
    upstream.will(says_whole("hello"))
    limited: Service = serve(unknown_price="allow", limits=default_tier(user={"per_minute": 1}), **away)
    for _ in range(2):
        answer = limited.chat("hi").json()
        assert answer["answer"] == "hello"
        assert "limits" in answer["degraded"]

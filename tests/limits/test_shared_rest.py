"""Three processes of the service before a provider that allows few requests, and tells how many are left."""

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.limits.stage import limits
from tests.models.servers import Received, Reply
from tests.redis_server import RedisServer
from tests.service import Service
from tests.upstream import MODEL, Upstream, refuses, says_whole

REQUESTS = 6
WINDOW = 6.0
SECONDS = 12.5
CLIENTS = 9


class Limited(Upstream):
    """Takes so many requests in each window, by its own clock; half of its answers take a moment."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: Counter[int] = Counter()
        self._began = time.monotonic()
        self._window, self._left = 0, REQUESTS

    def reply_to(self, request: Received) -> Reply:
        if request.method == "GET":
            return super().reply_to(request)
        since = time.monotonic() - self._began
        window = int(since / WINDOW)
        if window != self._window:
            self._window, self._left = window, REQUESTS
        reply = says_whole("Hello.") if self._left > 0 else refuses(429)
        self._left = max(0, self._left - 1)
        self.answered[reply.status] += 1
        headers = {
            **reply.headers,
            "x-ratelimit-limit-requests": str(REQUESTS),
            "x-ratelimit-remaining-requests": str(self._left),
            "x-ratelimit-reset-requests": f"{(window + 1) * WINDOW - since:.3f}s",
        }
        return Reply(reply.pieces, reply.status, headers, pause=0.05 * (self.answered.total() % 2))


async def _ask_until(end: float, url: str, asked: Counter[int], waits: list[Any]) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False, verify=False) as client:
        while time.monotonic() < end:
            response = await client.post("/chat", json={"message": "Hello"})
            asked[response.status_code] += 1
            if response.status_code == 429:
                waits.append(response.headers.get("retry-after"))
            await asyncio.sleep(0.1)


async def _load(services: list[Service]) -> tuple[Counter[int], list[Any]]:
    asked: Counter[int] = Counter()
    waits: list[Any] = []
    end = time.monotonic() + SECONDS
    await asyncio.gather(
        *(_ask_until(end, services[client % len(services)].url, asked, waits) for client in range(CLIENTS))
    )
    return asked, waits


@pytest.mark.timeout(120)
def test_at_most_two_percent_of_their_calls_are_answered_429(tmp_path: Path, redis_server: RedisServer) -> None:
    redis_server.ask("FLUSHALL")
    settings: dict[str, object] = {
        "redis_url": redis_server.url,
        "openai_api_key": "sk-test",
        "unknown_price": "allow",
        "models": MODEL,
        "model_retries": 0,
        "limits": limits(user={"per_minute": 1_000_000}),
    }
    with Limited() as upstream, ThreadPoolExecutor() as at_once, ExitStack() as stack:
        settings["openai_base_url"] = f"{upstream.url}/v1"
        services = list(at_once.map(lambda index: Service(tmp_path / str(index), **settings), range(3)))
        for service in services:
            stack.callback(service.end)
        assert services[0].chat("Hello").status_code == 200  # until somebody has heard a header, nobody can know
        asked, waits = asyncio.run(_load(services))
        rested = [line for service in services for line in service.log("model.resting")]
        counts = [service.metrics() for service in services]
    assert asked[200] >= REQUESTS, asked
    assert asked[429] > 10 * asked[200], asked
    assert set(asked) <= {200, 429}
    assert all(wait is not None for wait in waits)
    assert upstream.answered[429] <= 0.02 * upstream.answered.total() + 0.5, upstream.answered
    assert {line["reason"] for line in rested} <= {"used_up", "rate_limited"}
    rests = f'agent_model_rests_total{{model="{MODEL}",reason="used_up"}}'
    assert sum(count[rests] for count in counts) >= 3

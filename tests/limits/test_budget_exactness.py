"""The budget holds: three processes, 300 runs at once whose cost nobody knows before, and processes that are killed."""

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aiohttp
import pytest

from app.limits.limiter import Limiter
from app.limits.usage import Standing, UsageBook
from app.messages import NANOS
from app.settings import load
from app.state.redis import connect
from tests.limits.priced_provider import MODEL
from tests.redis_server import RedisServer
from tests.service import REPOSITORY, Service

SEED = random.randrange(1_000_000)
RUNS = 300
BUDGET_USD = 0.35
"""About a third of what all runs together would cost."""

LEASE_SECONDS = 2
KILLS = 4
PATIENCE_SECONDS = 120


@pytest.fixture
def provider() -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.limits.priced_provider", str(SEED)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    assert process.stdout
    yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    process.kill()
    process.wait()
    process.stdout.close()


class Fleet:
    """Three services, one of which is killed now and then and comes back on another port."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        self._settings = settings
        with ThreadPoolExecutor() as pool:
            self.services = list(pool.map(self._start, ("first", "second", "third")))

    def _start(self, name: str) -> Service:
        return Service(self._folder / name, **self._settings)

    def kill(self, place: int, successor: str) -> None:
        killed = self.services[place]
        killed.signal(signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        killed.client.close()
        self.services[place] = self._start(successor)

    def end(self) -> None:
        for service in self.services:
            service.end()


async def _run(fleet: Fleet, http: aiohttp.ClientSession, chance: random.Random, ends: Counter[str]) -> float:
    """Ask until there is an answer, or no budget is left. Returns what the answer cost."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        service = chance.choice(fleet.services)
        try:
            async with http.post(f"{service.url}/chat", json={"message": "What is 6 * 7?"}) as response:
                body = await response.json()
        except (aiohttp.ClientError, OSError):
            ends["broken"] += 1
            await asyncio.sleep(chance.uniform(1.0, 2.0))
            continue
        if response.status == 200:
            ends[f"answered {body['finish_reason']}"] += 1
            return float(body["cost_usd"])
        assert response.status == 429, body
        assert body["type"] == "urn:agent-api:problem:budget-exceeded", body
        if int(response.headers["Retry-After"]) == body["resets_in_seconds"]:
            ends["refused"] += 1
            return 0.0
        ends["has to wait"] += 1
        await asyncio.sleep(chance.uniform(0.5, 1.5))
    raise AssertionError("neither an answer nor a refusal")


def _nanos(usd: float) -> int:
    return round(usd * NANOS)


async def _watch(book: UsageBook, seen: list[Standing]) -> None:
    while True:
        seen += await book.global_standings()
        await asyncio.sleep(0.01)


@pytest.mark.timeout(240)
async def test_no_burst_over_processes_that_are_killed_spends_more_than_the_budget(
    tmp_path: Path, mortal_redis: RedisServer, provider: str
) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    budget = {
        "budget_global_day_usd": BUDGET_USD,
        "budget_anonymous_share": "off",  # all runs come from one address
        "lease_seconds": LEASE_SECONDS,
    }
    fleet = Fleet(
        tmp_path,
        models=MODEL,
        anthropic_base_url=provider,
        anthropic_api_key="sk-test",
        redis_url=mortal_redis.url,
        max_tokens=1000,
        max_cost_usd=0.05,
        anonymous_concurrent="off",
        **budget,
    )
    store = connect(mortal_redis.url)
    book = Limiter(load(None, **budget), store).usage
    seen: list[Standing] = []
    ends: Counter[str] = Counter()
    watching = asyncio.create_task(_watch(book, seen))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30), connector=connector) as http:
        runs = asyncio.gather(*(_run(fleet, http, chance, ends) for _ in range(RUNS)))
        kills: list[asyncio.Task[None]] = []
        for number in range(KILLS):  # each of the three in turn, while others may still be starting again
            await asyncio.sleep(chance.uniform(1, 2))
            if number >= 3:
                await kills[number - 3]
            kills.append(asyncio.create_task(asyncio.to_thread(fleet.kill, number % 3, f"successor-{number}")))
        costs = await runs
        await asyncio.gather(*kills)
    await asyncio.sleep(LEASE_SECONDS + 0.1)
    (after,) = await book.global_standings()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await store.aclose()
    fleet.end()

    print(ends, f"answers cost {sum(costs):.6f}, {after}, {len(seen)} looks")
    assert max(_nanos(look.usd.spent) + _nanos(look.usd.reserved) for look in seen) <= _nanos(BUDGET_USD)
    assert after.usd.reserved == 0
    assert after.tokens.reserved == 0
    assert after.usd.spent >= sum(costs) - 1e-6  # what was answered was recorded first
    assert after.usd.spent > 0.9 * BUDGET_USD  # and the budget was there to be used
    assert ends["refused"] > RUNS / 3

"""One service with all cases of the matrix: they are asked together, to be looked at one by one."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.resilience.account import Account
from tests.resilience.asking import Callers, Outcome
from tests.resilience.books import Metrics, Usage
from tests.resilience.matrix import FALLBACK, Case, cases
from tests.resilience.provider import Provider
from tests.resilience.rows import JUDGED, RETRIES, Row
from tests.resilience.serving import service_of, write_agents
from tests.service import Service

CASES = list(cases())
AT_ONCE = 24
ENOUGH = 24
"""Calls; a breaker judges 20."""

AGENT = (
    "prompt: Count.\ntools: [calculator]\nhistory: {{max_tokens: 0}}\ntimeout_seconds: {seconds}\nmodels:\n{models}\n"
)


@dataclass(frozen=True)
class Played:
    """What became of all cases."""

    provider: Provider
    service: Service
    outcomes: Mapping[str, Outcome]
    metrics: Metrics
    usage: Usage

    def account(self, case: Case) -> Account:
        return self.provider.accounts[case.model]


async def _ask_often(service: Service) -> None:
    """Each of the models so many times at once that its breaker has seen enough."""
    async with Callers() as callers:
        for some in (JUDGED[:12], JUDGED[12:24], JUDGED[24:36], JUDGED[36:]):
            asked = (
                callers.ask(service.url, stream=row.ways[-1] == "stream", agent=_agent_of(row))
                for row in some
                for _ in range(ENOUGH)
            )
            await asyncio.gather(*asked)


def _agent_of(row: Row) -> str:
    return row.judged.translate(str.maketrans("/~", "--"))


async def _ask_all(service: Service) -> dict[str, Outcome]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def ask(case: Case) -> Outcome:
        async with slots:
            return await callers.ask(service.url, stream=case.way == "stream", agent=case.name)

    async with Callers() as callers:
        return dict(zip((case.name for case in CASES), await asyncio.gather(*map(ask, CASES)), strict=True))


@contextmanager
def played_in(folder: Path) -> Iterator[Played]:
    all_refs = [FALLBACK, *(case.ref for case in CASES), *(row.judged for row in JUDGED)]
    agents = {case.name: case.refs for case in CASES}
    agents |= {_agent_of(row): [row.judged] for row in JUDGED}
    seconds = {case.name: case.row.timeout_seconds for case in CASES}
    windows = {case.ref: 8192 for case in CASES}
    start = time.monotonic()
    with Provider() as provider:
        service = service_of(
            folder,
            provider,
            all_refs,
            windows=windows,
            agents_dir=write_agents(folder / "agents", agents, seconds),
            ollama_api_base=provider.url,
            anthropic_base_url=provider.url,
            anthropic_api_key="sk-ant-of-the-service",
            model_retries=RETRIES,
            run_timeout_seconds=len(all_refs) + 10,
            connect_timeout_seconds=1,
            first_content_timeout_seconds=0.5,
            first_content_timeout_per_1000_tokens=0,
            content_gap_timeout_seconds=0.5,
        )
        print(f"started in {time.monotonic() - start:.1f} s")
        start = time.monotonic()
        outcomes = asyncio.run(_ask_all(service))
        provider.wait_until(lambda _: provider.open_calls() == 0)
        print(f"{len(outcomes)} cases in {time.monotonic() - start:.1f} s")
        played = Played(provider, service, outcomes, Metrics([service]), Usage(service))
        asyncio.run(_ask_often(service))
        yield played
        service.end()

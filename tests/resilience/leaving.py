"""Clients that leave while their run waits: for a retry, in a queue, in the one call that a half-open breaker lets
through. A second later nothing of theirs is left at the provider, and nothing of it comes later."""

import asyncio
import time
from pathlib import Path

from tests.resilience.acts import Act, Call, answer, error
from tests.resilience.asking import Callers, Outcome
from tests.resilience.books import differences
from tests.resilience.goals import Sheet
from tests.resilience.provider import Provider
from tests.resilience.schedules import in_turn
from tests.resilience.serving import service_of, write_agents
from tests.service import Service

MODELS = RETRIED, QUEUED, PROBED = "retried", "queued", "probed"
"""Each is the only model of an agent of its name."""

LEFT_SECONDS = 1.0
LATER_SECONDS = 2.0
_RETRY_AFTER = 2
_SILENT = Act(head="none", ending="silent")


async def leaving(folder: Path) -> Sheet:
    sheet = Sheet("clients that leave while their run waits")
    with Provider() as provider:
        agents = write_agents(folder / "agents", {model: [f"openai/{model}"] for model in MODELS})
        service = service_of(folder, provider, MODELS, max_concurrent_calls=2, agents_dir=agents)
        try:
            async with Callers() as callers, asyncio.TaskGroup() as group:
                for scenario in (_in_a_retry, _in_a_queue, _in_a_probe):
                    group.create_task(scenario(sheet, provider, service, callers))
            sheet.none("accounts that differ", differences(provider, [service], MODELS))
        finally:
            service.end()
    return sheet


def _ask(callers: Callers, service: Service, agent: str, *, stream: bool = False) -> asyncio.Task[Outcome]:
    return asyncio.create_task(callers.ask(service.url, stream=stream, agent=agent))


async def _leave(*asked: asyncio.Task[Outcome]) -> None:
    for one in asked:
        one.cancel()
    await asyncio.gather(*asked, return_exceptions=True)


async def _called(provider: Provider, model: str, times: int) -> None:
    await asyncio.to_thread(provider.wait_until, lambda _: provider.accounts[model].calls >= times, 10)


async def _nothing_is_left(sheet: Sheet, provider: Provider, model: str, when: str) -> None:
    """A second after a client has left."""
    await asyncio.sleep(LEFT_SECONDS)
    sheet.at_most(f"{when}: calls open 1 s later", provider.open_calls(model), 0)
    before = provider.accounts[model].calls
    await asyncio.sleep(LATER_SECONDS)
    sheet.at_most(f"{when}: calls made after that", provider.accounts[model].calls - before, 0)


async def _in_a_retry(sheet: Sheet, provider: Provider, service: Service, callers: Callers) -> None:
    provider.does(RETRIED, in_turn(lambda _: error(503, Retry_After=str(_RETRY_AFTER)), answer))
    asked = [_ask(callers, service, RETRIED, stream=stream) for stream in (False, True)]
    await _called(provider, RETRIED, 2)
    await asyncio.sleep(0.3)
    await _leave(*asked)
    await _nothing_is_left(sheet, provider, RETRIED, "in a retry's wait")


async def _in_a_queue(sheet: Sheet, provider: Provider, service: Service, callers: Callers) -> None:
    provider.does(QUEUED, lambda _, __: _SILENT)
    first = [_ask(callers, service, QUEUED) for _ in range(2)]
    await _called(provider, QUEUED, 2)
    queued = [_ask(callers, service, QUEUED, stream=stream) for stream in (False, True)]
    await asyncio.sleep(0.5)
    sheet.at_most("calls open with a place for two", provider.open_calls(QUEUED), 2)
    await _leave(*queued)
    await asyncio.sleep(0.2)
    await _leave(*first)
    await _nothing_is_left(sheet, provider, QUEUED, "in a queue")
    provider.schedule(QUEUED, lambda _, call: answer(call))
    again = await asyncio.gather(*(_ask(callers, service, QUEUED) for _ in range(8)))
    sheet.none("in a queue: not answered after that", [one.status for one in again if one.status != 200])


async def _in_a_probe(sheet: Sheet, provider: Provider, service: Service, callers: Callers) -> None:
    """The breaker is opened by failures; the one call that it lets through next falls silent, and its client leaves."""
    provider.does(PROBED, lambda _, __: error(500))
    provider.may_probe = False
    end = time.monotonic() + 20
    while not await asyncio.to_thread(_is_open, service):
        assert time.monotonic() < end, "the breaker does not open"
        await asyncio.gather(*(_ask(callers, service, PROBED) for _ in range(4)))
    provider.schedule(PROBED, lambda _, __: _SILENT)
    provider.may_probe = True
    before = provider.accounts[PROBED].calls
    live = await _the_one_let_through(provider, service, callers, before)
    await asyncio.sleep(0.3)
    sheet.at_most("calls that a half-open breaker lets through", provider.accounts[PROBED].calls - before, 1)
    await _leave(live)
    await asyncio.sleep(LEFT_SECONDS)
    sheet.at_most("in a probe: calls open 1 s later", provider.open_calls(PROBED), 0)

    def well(_: int, call: Call) -> Act:
        return answer(call)

    provider.schedule(PROBED, well)
    left = time.monotonic()
    while (outcome := await _ask(callers, service, PROBED)).status != 200 and time.monotonic() < left + 30:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    sheet.at_most("in a probe: answered again after", outcome.ended_at - left, 5, " s")


def _is_open(service: Service) -> bool:
    return any(value for name, value in service.metrics().items() if name.startswith("agent_breaker_state{"))


async def _the_one_let_through(
    provider: Provider, service: Service, callers: Callers, before: int
) -> asyncio.Task[Outcome]:
    end = time.monotonic() + 40
    while time.monotonic() < end:
        asked = _ask(callers, service, PROBED)
        await asyncio.wait([asked], timeout=0.2)
        if provider.accounts[PROBED].calls > before:
            return asked
        await _leave(asked)
    raise AssertionError("the breaker lets no call through")

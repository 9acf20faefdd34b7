"""Every failure at random, and clients that leave at random: afterwards nothing is open, lost or counted twice."""

import asyncio
import random
from pathlib import Path

from tests.resilience.asking import Callers, Outcome
from tests.resilience.books import Metrics, Usage
from tests.resilience.goals import Sheet
from tests.resilience.provider import Provider
from tests.resilience.schedules import at_random
from tests.resilience.serving import service_of
from tests.service import Service

MODELS = ("first", "second", "third")
WAYS = (
    "reset-before-headers",
    "reset-in-headers",
    "cut",
    "cut-by-reset",
    "cut-before-text",
    "cut-in-reasoning",
    "silent-at-once",
    "silent-before-content",
    "silent-within",
    "broken-json",
    "html",
    "429-zero",
    "500",
    "503",
    "529",
    "content-filter",
    "empty",
)
FAILING, LEAVING = 0.4, 0.3
SEED = 7
_GAUGES = ("agent_active_requests", "agent_active_streams", "agent_model_calls_open", "agent_model_queue_depth")


async def chaos(folder: Path, *, requests: int, at_once: int = 24) -> Sheet:
    sheet = Sheet(f"{requests:,} requests, every failure at random, {LEAVING:.0%} of the clients leave")
    with Provider() as provider:
        for number, model in enumerate(MODELS):
            provider.does(model, at_random(FAILING, WAYS, SEED + number))
        service = service_of(
            folder,
            provider,
            MODELS,
            max_concurrent_calls=8,
            first_content_timeout_seconds=0.3,
            first_content_timeout_per_1000_tokens=0,
            content_gap_timeout_seconds=0.3,
            run_timeout_seconds=8,
            stream_recovery="continue",
        )
        try:
            async with Callers() as callers:
                outcomes = await _ask_and_leave(callers, service, requests, at_once)
                await asyncio.sleep(1)
                sheet.at_most("calls open 1 s later", provider.open_calls(), 0)
                _tell(sheet, provider, service, outcomes)
                for model in MODELS:
                    provider.does(model, at_random(0, WAYS, SEED))
                again = await asyncio.gather(*(callers.ask(service.url) for _ in range(20)))
                sheet.none("not answered after that", [one.status for one in again if one.status != 200])
        finally:
            service.end()
    return sheet


async def _ask_and_leave(callers: Callers, service: Service, requests: int, at_once: int) -> list[Outcome]:
    """The outcomes of those that stayed."""
    chance = random.Random(SEED)
    numbers = iter(range(requests))
    outcomes: list[Outcome] = []

    async def one_by_one() -> None:
        for number in numbers:
            patience = chance.uniform(0, 0.6) if chance.random() < LEAVING else None
            try:
                async with asyncio.timeout(patience):
                    outcomes.append(await callers.ask(service.url, stream=number % 2 == 1))
            except TimeoutError:
                pass

    await asyncio.gather(*(one_by_one() for _ in range(at_once)))
    return outcomes


def _tell(sheet: Sheet, provider: Provider, service: Service, outcomes: list[Outcome]) -> None:
    metrics, usage = Metrics([service]), Usage(service)
    sheet.none("gauges above 0", [name for name in _GAUGES if metrics.sum(name)])
    sheet.none("answers that are no answers", [one for one in outcomes if one.status == 200 and _is_wrong(one)])
    blamed = {(one.slug, one.told.get("detail")) for one in outcomes if one.status not in (200, 429, 503, 504)}
    sheet.none("failures that blame the client", blamed)
    sheet.none("requests that ended as crashed", service.log("agent.request.crashed"))
    for model in MODELS:
        ref = f"openai/{model}"
        count, used, account = metrics.count(ref), usage.of(ref), provider.accounts[model]
        counted = count.input + count.output, count.uncertain
        if counted != (used.tokens - used.uncertain, used.uncertain):
            sheet.none(f"{model}: accounts that differ", [f"{counted}, {used}"])
        sheet.at_most(f"{model}: calls not in metrics", account.calls - sum(metrics.outcomes(ref).values()), 0)
        # an answer is told whole and lost where the client leaves in the same moment: it is then uncertain
        sheet.at_most(f"{model}: tokens beyond what was told", count.output - account.told_output, 0)
    answered = [one for one in outcomes if one.status == 200]
    sheet.tell("answered of those who stayed", f"{len(answered)} of {len(outcomes)}")


def _is_wrong(outcome: Outcome) -> bool:
    """An answer without a text that does not say why, or whose pieces are not its text."""
    told = outcome.told
    if told["finish_reason"] in ("refusal", "content_filter"):
        return False
    return not told["answer"] or told["answer"] != outcome.text

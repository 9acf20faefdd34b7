"""What a failed call may have written is paid for, and takes nothing of what the next model may answer with."""

import asyncio
from pathlib import Path

from tests.resilience.acts import WHOLE, Act, answer
from tests.resilience.asking import Callers, Outcome
from tests.resilience.books import Metrics
from tests.resilience.provider import Provider
from tests.resilience.schedules import in_turn
from tests.resilience.serving import service_of

MAX_TOKENS = 50
SILENT = Act(head="none", ending="silent")


def test_a_fallback_answers_after_a_plain_call_that_had_time_for_the_longest_answer(tmp_path: Path) -> None:
    async def ask(url: str) -> list[Outcome]:
        async with Callers() as callers:
            return [await callers.ask(url) for _ in range(4)]

    with Provider() as provider:
        provider.does("first", in_turn(answer, answer, answer, lambda _: SILENT))
        service = service_of(
            tmp_path / "service", provider, ("first", "second"), max_tokens=MAX_TOKENS, run_timeout_seconds=4
        )
        *_, last = asyncio.run(ask(service.url))
        lost = Metrics([service]).sum("agent_uncertain_tokens_total", model="openai/first", type="output")
        service.end()
    assert lost == MAX_TOKENS
    assert (last.status, last.text) == (200, WHOLE), last
    assert last.told["model"] == "openai/second"
    assert last.told["usage"]["output_tokens"] == MAX_TOKENS + 4

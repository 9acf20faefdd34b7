"""30 % of the primary's calls fail at random, and there is a healthy fallback."""

from collections import Counter
from pathlib import Path

from tests.resilience.asking import Callers
from tests.resilience.books import Metrics, Usage, answered_tokens, differences
from tests.resilience.goals import Sheet, percentile, share
from tests.resilience.provider import Provider
from tests.resilience.schedules import at_random
from tests.resilience.serving import service_of

PRIMARY, FALLBACK = "flaky", "well"
WAYS = ("reset-before-headers", "reset-in-headers", "cut-before-text", "html", "500", "502", "503")
FAILING = 0.3
SEED = 12


async def flaky(folder: Path, *, requests: int, at_once: int = 32, most_calls: float = 1.2) -> Sheet:
    """`most_calls` of the primary a request; few requests feel the ten retries that are saved up at the start."""
    sheet = Sheet(f"{requests:,} requests, {FAILING:.0%} of the primary's calls fail, one healthy fallback")
    with Provider() as provider:
        provider.does(PRIMARY, at_random(FAILING, WAYS, SEED))
        service = service_of(folder, provider, (PRIMARY, FALLBACK))
        try:
            async with Callers() as callers:
                outcomes = await callers.in_turns([service.url], requests, at_once)
            statuses = Counter(outcome.status for outcome in outcomes)
            sheet.at_least("answered", share(outcomes, lambda one: one.status == 200) * 100, 99.95, " %")
            sheet.at_most("calls of the primary a request", provider.accounts[PRIMARY].calls / requests, most_calls)
            sheet.at_most("open breakers", Metrics([service]).sum("agent_breaker_state"), 0)
            opened = service.log("model.breaker", state="open")
            sheet.none("times a breaker opened", [line.get("model") for line in opened])
            sheet.tell("calls of the fallback a request", f"{provider.accounts[FALLBACK].calls / requests:.3f}")
            sheet.tell("median and 99th percentile", _times(outcomes_seconds := [one.seconds for one in outcomes]))
            sheet.tell("requests a second", f"{requests * at_once / sum(outcomes_seconds):.0f}")
            sheet.none("other statuses", [f"{status}: {count}" for status, count in statuses.items() if status != 200])
            sheet.none("accounts that differ", differences(provider, [service], (PRIMARY, FALLBACK)))
            used = sum(Usage(service).of(f"openai/{model}").tokens for model in (PRIMARY, FALLBACK))
            failed = [one for one in outcomes if one.status != 200]
            answered = answered_tokens(outcomes)
            sheet.at_most("tokens of answers beyond /usage", answered - used, 0)
            if not failed:
                sheet.at_most("tokens of /usage beyond the answers", used - answered, 0)
        finally:
            service.end()
    return sheet


def _times(seconds: list[float]) -> str:
    return f"{percentile(seconds, 0.5) * 1000:.0f} ms, {percentile(seconds, 0.99) * 1000:.0f} ms"

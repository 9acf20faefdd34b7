"""A thousand calls fail at the same moment: how many of them are tried again, and when."""

import asyncio
from dataclasses import replace
from pathlib import Path

from tests.resilience.acts import error
from tests.resilience.asking import Callers
from tests.resilience.books import differences
from tests.resilience.goals import Sheet, share
from tests.resilience.provider import Provider
from tests.resilience.serving import service_of

MODEL = "failing"
REQUESTS_A_SECOND = 250
"""That even a busy machine takes: each call fails after the time in which all have been made."""


async def burst(folder: Path, *, requests: int, watched_seconds: float, breaker: bool) -> Sheet:
    title = f"{requests:,} simultaneous failures, the breaker {'on' if breaker else 'off'}"
    sheet = Sheet(title)
    failing = replace(error(503), wait=1 + requests / REQUESTS_A_SECOND)
    with Provider() as provider:
        provider.does(MODEL, lambda number, _: failing if number < requests else error(503))
        service = service_of(folder, provider, (MODEL,), breaker=breaker)
        try:
            async with Callers() as callers:
                asked = asyncio.create_task(callers.together(service.url, requests))
                await asyncio.to_thread(provider.wait_until, lambda _: provider.calls >= requests, 60)
                await asyncio.sleep(failing.wait + watched_seconds)
                retries = provider.calls - requests
                outcomes = await asked
            allowed = 0.2 * requests + 10
            sheet.at_most(f"retries within {watched_seconds:g} s", retries, allowed)
            sheet.at_least("answered 503", share(outcomes, lambda one: one.status == 503) * 100, 100, " %")
            sheet.none("accounts that differ", differences(provider, [service], (MODEL,)))
        finally:
            service.end()
    return sheet

"""Three processes with one store share an upstream that takes only so many requests in each window of time."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.resilience.asking import Callers
from tests.resilience.books import Usage, answered_tokens, differences
from tests.resilience.goals import Sheet, share
from tests.resilience.provider import Provider
from tests.resilience.quota import Quota
from tests.resilience.serving import service_of
from tests.service import Service

MODEL = "rationed"
PROCESSES = 3


async def shared_quota(folder: Path, redis_url: str, *, allowed: int, window: float, windows: int) -> Sheet:
    """Each process is asked as often as the upstream allows all of them."""
    sheet = Sheet(
        f"{PROCESSES} processes, an upstream of {allowed} requests in {window:g} s, asked {PROCESSES} times that"
    )
    with Provider() as provider:

        def start(number: int) -> Service:
            return service_of(folder / str(number), provider, (MODEL,), redis_url=redis_url)

        with ThreadPoolExecutor() as pool:
            services = list(pool.map(start, range(PROCESSES)))
        try:
            quota = provider.quota = Quota(allowed, window)
            until = time.monotonic() + window * windows
            async with Callers() as callers:
                asked = (callers.at_rate(service.url, allowed / window, until) for service in services)
                outcomes = [outcome for some in await asyncio.gather(*asked) for outcome in some]
            calls = provider.accounts[MODEL].calls
            sheet.at_most("calls answered 429", quota.refused / calls * 100, 2, " %")
            sheet.at_least("of the quota used", (calls - quota.refused) / (allowed * windows) * 100, 80, " %")
            sheet.none("answers of other kinds", {one.status for one in outcomes} - {200, 429, 503})
            plain = [one for one in outcomes if one.status != 200 and not one.events]
            sheet.at_least("refused with Retry-After", share(plain, lambda one: bool(one.retry_after)) * 100, 100, " %")
            sheet.tell("requests, calls, answered", f"{len(outcomes)}, {calls}, {calls - quota.refused}")
            await asyncio.sleep(1)
            sheet.none("accounts that differ", differences(provider, services, (MODEL,)))
            beyond = Usage(services[0]).of(f"openai/{MODEL}").tokens - answered_tokens(outcomes)
            sheet.at_most("tokens of /usage beyond the answers", abs(beyond), 0)
        finally:
            for service in services:
                service.end()
    return sheet

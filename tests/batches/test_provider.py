"""Batches through a provider's batch API: what is sent, what comes back, and what it costs, to the unit."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest

from app.access.principal import Principal
from app.batches.record import Batch
from app.durable.record import Caller
from app.errors import NotFound, StateUnavailable, Unauthorized
from app.messages import NANOS, Usage
from app.models.prices import price_of
from app.state.store import Store
from tests.batches.conftest import BOTH
from tests.batches.provider import INPUT, OUTPUT, READ, WRITTEN, BatchProvider
from tests.batches.stage import MODEL, Process, process, settings_for
from tests.doubles import ADA
from tests.durable.house import MortalStore
from tests.limits.stage import standing
from tests.models.servers import Reply

Make = Callable[..., Process]
WHOLE_INPUT = INPUT + READ + WRITTEN


@pytest.fixture
async def make(provider: BatchProvider, store: Store) -> AsyncIterator[Make]:
    """Makes processes that share a store."""
    made: list[Process] = []

    def one(*, lease_seconds: float = 30.0, **settings: Any) -> Process:
        made.append(process(settings_for(provider, **settings), store, lease_seconds=lease_seconds))
        return made[-1]

    yield one
    for each in made:
        await each.models.aclose()


async def carry_on(batch: Batch, *processes: Process, until: str = "ended", seconds: float = 10.0) -> Batch:
    end = time.monotonic() + seconds
    while True:
        for each in processes:
            await each.step()
        found = await processes[0].read(batch)
        if found.status == until:
            return found
        assert time.monotonic() < end, found
        await asyncio.sleep(0.003)


def nanos(place: int) -> int:
    """Of the answer to the request of that place in its batch: half the price, of the cache's tokens as well."""
    price = price_of(MODEL)
    assert price is not None
    rates = price.rates(WHOLE_INPUT)
    usd = (
        INPUT * rates.input + READ * rates.cache_read + WRITTEN * rates.cache_write + (OUTPUT + place) * rates.output
    ) / 2_000_000
    return round(usd * NANOS)


@BOTH
async def test_answers_come_back_in_the_order_of_the_inputs_at_half_the_price(
    make: Make, provider: BatchProvider
) -> None:
    one = make(budget_user_day_usd=10)
    batch = await one.submit([f"question {n}" for n in range(5)])
    assert (batch.way, batch.status) == ("provider", "queued")
    await one.step()
    assert (await one.read(batch)).status == "running"
    provider.end()
    done = await carry_on(batch, one)
    results = await one.results(batch)
    assert [each["custom_id"] for each in results] == [f"c-{n}" for n in range(5)]
    assert [each["answer"] for each in results] == [f"echo: question {n}" for n in range(5)]
    assert results[2]["usage"] == {
        "input_tokens": WHOLE_INPUT,
        "output_tokens": OUTPUT + 2,
        "cache_read_tokens": READ,
        "cache_write_tokens": WRITTEN,
    }
    assert [round(each["cost_usd"] * NANOS) for each in results] == [nanos(n) for n in range(5)]
    total = sum(nanos(n) for n in range(5))
    assert (done.nanos, done.counts["succeeded"]) == (total, 5)
    assert done.usage == Usage(5 * WHOLE_INPUT, 5 * OUTPUT + 10, 5 * READ, 5 * WRITTEN)
    usd = (await standing(one.limiter))["user"].usd
    assert (round(usd.spent * NANOS), usd.reserved) == (total, 0)
    (row,) = await one.limiter.usage.of_user("ada", 1)
    assert (row.calls, row.input_tokens, row.cache_read_tokens) == (5, 5 * WHOLE_INPUT, 5 * READ)
    assert round(row.cost_usd * NANOS) == total


async def test_the_provider_is_sent_no_tools_and_no_words_but_the_inputs(make: Make, provider: BatchProvider) -> None:
    one = make()
    batch = await one.submit(["hello"], max_tokens=7, temperature=0.5)
    await one.step()
    (sent,) = provider.sent
    assert sent["custom_id"] == f"{batch.id}_0"
    assert sent["params"] == {
        "model": "claude-haiku-4-5",
        "max_tokens": 7,
        "system": [{"type": "text", "text": "Be brief."}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "temperature": 0.5,
    }


async def test_each_input_is_told_what_became_of_it(make: Make, provider: BatchProvider) -> None:
    one = make()
    batch = await one.submit(["a", "fail b", "expire c", "empty d", "refuse e"])
    await one.step()
    provider.end()
    done = await carry_on(batch, one)
    results = await one.results(batch)
    kinds = [each["error"] and each["error"]["type"].rpartition(":")[2] for each in results]
    assert kinds == [None, "model-unavailable", "expired", "model-unavailable", None]
    assert "words of the provider" not in str(results)
    assert (results[4]["answer"], results[4]["finish_reason"]) == ("", "refusal")
    assert [each["cost_usd"] > 0 for each in results] == [True, False, False, True, True]
    assert dict(done.counts) == {"succeeded": 2, "failed": 2, "cancelled": 0, "expired": 1}


async def test_a_batch_is_sent_once_though_every_step_is_another_process(make: Make, provider: BatchProvider) -> None:
    processes = [make() for _ in range(3)]
    batch = await processes[0].submit([str(n) for n in range(7)])
    await asyncio.gather(*(each.step() for each in processes))
    provider.end()
    done = await carry_on(batch, *processes)
    assert (provider.created, done.counts["succeeded"]) == (1, 7)


async def test_a_reply_that_is_lost_does_not_pay_twice(make: Make, provider: BatchProvider) -> None:
    """As after a crash between the provider's taking it and our noting so."""
    one, two = make(), make()
    provider.next_creates = [None]
    batch = await one.submit(["a", "b"])
    await one.step()
    assert provider.created == 1
    await asyncio.sleep(0.2)  # longer than the grace: it is still there, and not known whose
    await two.step()
    provider.end()
    done = await carry_on(batch, two)
    assert (provider.created, done.counts["succeeded"]) == (1, 2)


async def test_what_the_provider_never_got_is_sent_again(make: Make, provider: BatchProvider) -> None:
    one = make()
    provider.next_creates = [Reply(status=0, ending="reset")]
    batch = await one.submit(["a", "b"])
    await one.step()
    assert provider.created == 0
    provider.ends_at_once = True
    done = await carry_on(batch, one)
    assert (provider.created, done.counts["succeeded"]) == (1, 2)


async def test_another_batch_of_the_same_size_is_not_taken_for_ours(make: Make, provider: BatchProvider) -> None:
    one = make()
    provider.ends_at_once = True
    await carry_on(await one.submit(["x", "y"]), one)
    theirs = {**provider.batches.pop("msgbatch_1"), "id": "msgbatch_theirs"}
    theirs["results_url"] = theirs["results_url"].replace("msgbatch_1", "msgbatch_theirs")
    provider.batches["msgbatch_theirs"] = theirs
    provider.lines["msgbatch_theirs"] = [
        line.replace(b'"custom_id": "', b'"custom_id": "x') for line in provider.lines.pop("msgbatch_1")
    ]
    provider.next_creates = [Reply(status=0, ending="reset")]
    batch = await one.submit(["a", "b"])
    done = await carry_on(batch, one)
    assert [each["answer"] for each in await one.results(batch)] == ["echo: a", "echo: b"]
    assert (provider.created, done.counts["succeeded"]) == (2, 2)


async def test_results_that_break_off_count_once(make: Make, provider: BatchProvider) -> None:
    one = make(budget_user_day_usd=10)
    batch = await one.submit([str(n) for n in range(4)])
    await one.step()
    provider.end()
    provider.cut_results = 2
    done = await carry_on(batch, one)
    total = sum(nanos(n) for n in range(4))
    assert done.nanos == total
    assert round((await standing(one.limiter))["user"].usd.spent * NANOS) == total
    assert (await one.limiter.usage.of_user("ada", 1))[0].calls == 4


async def test_a_provider_that_is_busy_is_asked_again_later(make: Make, provider: BatchProvider) -> None:
    one = make()
    busy = Reply([b'{"type":"error","error":{"type":"rate_limit_error"}}'], 429, {"retry-after": "0"})
    provider.next_creates = [busy, busy]
    provider.ends_at_once = True
    batch = await one.submit(["a"])
    done = await carry_on(batch, one)
    assert (done.counts["succeeded"], done.failures, provider.created) == (1, 0, 1)


async def test_credentials_that_the_provider_refuses_fail_the_inputs(make: Make, provider: BatchProvider) -> None:
    one = make(budget_user_day_usd=10)
    provider.next_creates = [Reply([b'{"type":"error","error":{"type":"authentication_error"}}'], 401)]
    batch = await one.submit(["a", "b"])
    done = await carry_on(batch, one)
    assert (done.counts["failed"], provider.created) == (2, 0)
    assert [each["error"]["status"] for each in await one.results(batch)] == [503, 503]
    assert (await standing(one.limiter))["user"].usd.reserved == 0


async def test_a_server_without_the_api_has_them_go_through_the_queue(make: Make, provider: BatchProvider) -> None:
    one = make(budget_user_day_usd=10)
    provider.next_creates = [Reply([b'{"error":"no such path"}'], 404)]
    batch = await one.submit(["a", "b"])
    await one.step()
    await one.step()
    found = await one.read(batch)
    assert (found.way, found.status, dict(found.open)) == ("queue", "running", {0: True, 1: True})
    assert (await standing(one.limiter))["user"].usd.reserved == 0


@BOTH
async def test_cancelled_before_it_began_nothing_is_sent(make: Make, provider: BatchProvider) -> None:
    one = make()
    batch = await one.submit(["a", "b"])
    assert await one.batches.cancel(ADA, batch.id) == "cancelled"
    assert await one.step() == 0
    found = await one.read(batch)
    assert (found.status, found.counts["cancelled"], provider.created) == ("cancelled", 2, 0)
    assert [each["error"]["type"] for each in await one.results(batch)] == ["urn:agent-api:problem:cancelled"] * 2


@BOTH
async def test_cancelled_at_the_provider_what_was_answered_is_kept_and_paid(
    make: Make, provider: BatchProvider
) -> None:
    one = make(budget_user_day_usd=10)
    batch = await one.submit(["a", "b", "c"])
    await one.step()
    assert await one.batches.cancel(ADA, batch.id) == "cancelling"
    await one.step()
    assert provider.batches["msgbatch_1"]["processing_status"] == "canceling"
    provider.end()
    done = await carry_on(batch, one, until="cancelled")
    assert dict(done.counts) == {"succeeded": 1, "failed": 0, "cancelled": 2, "expired": 0}
    assert done.nanos == nanos(0)
    assert round((await standing(one.limiter))["user"].usd.spent * NANOS) == nanos(0)


async def test_a_budget_is_reserved_before_and_bounds_what_is_sent(make: Make, provider: BatchProvider) -> None:
    one = make(budget_user_day_usd=0.006, max_tokens=1000)
    batch = await one.submit([str(n) for n in range(100)])
    provider.ends_at_once = True
    most = 0.0
    while (await one.read(batch)).status != "ended":
        await one.step()
        usd = (await standing(one.limiter))["user"].usd
        most = max(most, usd.spent + usd.reserved)
        await asyncio.sleep(0.002)
    assert 0 < most <= 0.006
    done = await one.read(batch)
    assert done.counts["succeeded"] >= 5
    assert done.counts["failed"] == 100 - done.counts["succeeded"] > 0
    last = (await one.results(batch))[-1]
    assert (last["custom_id"], last["error"]["type"]) == ("c-99", "urn:agent-api:problem:budget-exceeded")
    assert round((await standing(one.limiter))["user"].usd.spent * NANOS) == done.nanos


async def test_an_input_that_costs_more_than_a_run_may_is_refused_alone(make: Make, provider: BatchProvider) -> None:
    one = make(max_cost_usd=0.002)
    provider.ends_at_once = True
    batch = await one.submit(["a", "b" * 30_000, "c"])
    done = await carry_on(batch, one)
    results = await one.results(batch)
    assert [each["answer"] for each in results] == ["echo: a", None, "echo: c"]
    assert results[1]["error"]["type"] == "urn:agent-api:problem:request-too-expensive"
    assert (done.counts["succeeded"], len(provider.sent)) == (2, 2)


@BOTH
async def test_a_worker_that_lost_its_lease_writes_nothing(make: Make, provider: BatchProvider) -> None:
    one, two = make(lease_seconds=0.05), make()
    batch = await one.submit(["a"])
    (stale,) = await one.records.take(1)
    await asyncio.sleep(0.1)
    provider.ends_at_once = True
    done = await carry_on(batch, two)
    await one.coordinator.step(stale)
    assert (provider.created, (await one.read(batch)).nanos) == (1, done.nanos)


async def test_it_begins_at_its_time(make: Make, provider: BatchProvider) -> None:
    one = make()
    batch = await one.submit(["a"], start_at=time.time() + 0.3)
    assert await one.step() == 0
    assert ((await one.read(batch)).status, provider.created) == ("queued", 0)
    provider.ends_at_once = True
    assert (await carry_on(batch, one)).started_at >= batch.start_at


@pytest.mark.parametrize("after", [False, True])
async def test_a_worker_killed_at_any_call_pays_for_nothing_twice(
    provider: BatchProvider, store: Store, *, after: bool
) -> None:
    """Before the store has carried the call out, or after; another worker goes on from there."""
    settings = settings_for(provider, budget_user_day_usd=1_000)
    heir = process(settings, store)
    provider.ends_at_once = True
    dies_at, survived, total = 0, False, 0
    while not survived:
        dies_at += 1
        mortal = MortalStore(store, dies_at=dies_at, after=after)
        first = process(settings, mortal)
        batch = await heir.submit(["a", "b"])
        working = asyncio.create_task(_work(first, heir, batch))
        dying = asyncio.create_task(mortal.dead.wait())
        await asyncio.wait([working, dying], return_when=asyncio.FIRST_COMPLETED)
        survived = not mortal.dead.is_set()
        mortal.bury()
        dying.cancel()
        with suppress(StateUnavailable):
            await working
        await store.call("ZADD", "{limits}:batches:due", "XX", 0, batch.id)  # its lease is over
        done = await carry_on(batch, heir)
        total += done.nanos
        assert (provider.created, done.counts["succeeded"], done.nanos) == (dies_at, 2, nanos(0) + nanos(1))
        usd = (await standing(heir.limiter))["user"].usd
        assert (round(usd.spent * NANOS), usd.reserved) == (total, 0)
        await first.models.aclose()
    await heir.models.aclose()
    assert dies_at > 10


async def _work(worker: Process, reader: Process, batch: Batch) -> None:
    while (await reader.read(batch)).status != "ended":
        await worker.step()
        await asyncio.sleep(0.003)


async def test_a_key_that_is_withdrawn_ends_the_batch(make: Make, provider: BatchProvider) -> None:
    one = make()
    batch = await one.submit(["a", "b"])
    await one.step()

    def withdrawn(_: Caller) -> Principal:
        raise Unauthorized("revoked")

    one.coordinator._principal_of = withdrawn  # as if the keys had been read anew
    later = await one.submit(["c"])
    while provider.batches["msgbatch_1"]["processing_status"] != "canceling":
        await one.step()
        await asyncio.sleep(0.003)
    provider.end()
    await carry_on(batch, one, until="cancelled")
    await carry_on(later, one, until="cancelled")
    assert [each["error"]["type"] for each in await one.results(later)] == ["urn:agent-api:problem:unauthorized"]
    assert provider.created == 1


async def test_a_batch_that_no_worker_began_in_time_expires(make: Make, provider: BatchProvider) -> None:
    one = make(run_queue_seconds=1)
    batch = await one.submit(["a", "b"])
    await asyncio.sleep(1.1)
    done = await carry_on(batch, one, until="expired")
    assert (done.counts["expired"], provider.created) == (2, 0)
    assert [each["error"]["status"] for each in await one.results(batch)] == [504, 504]


async def test_a_step_that_always_crashes_is_given_up(
    make: Make, provider: BatchProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = make(lease_seconds=0.001)
    batch = await one.submit(["a", "b"])

    async def crash(_: object) -> float:
        raise RuntimeError("a defect")

    monkeypatch.setattr(one.coordinator._provider, "step", crash)
    done = await carry_on(batch, one)
    assert done.counts["failed"] == 2
    assert {each["error"]["type"] for each in await one.results(batch)} == {"urn:agent-api:problem:crashed"}


async def test_another_users_batch_is_not_there(make: Make) -> None:
    one = make()
    batch = await one.submit(["a"])
    bob = Principal("bob", scopes=ADA.scopes, authenticated=True)
    for asked in (one.batches.read(bob, batch.id), one.batches.cancel(bob, batch.id)):
        with pytest.raises(NotFound):
            await asked
    assert await one.batches.list(bob, 10, "") == ([], "")
    assert (await one.read(batch)).status == "queued"


async def test_the_accounts_batches_are_looked_through_page_by_page(make: Make, provider: BatchProvider) -> None:
    """One of ours may be behind hundreds of others."""
    one = make()
    provider.next_creates = [None]
    batch = await one.submit(["a", "b"])
    await one.step()
    ours = provider.batches["msgbatch_1"]
    for number in range(230):
        provider.batches[f"msgbatch_x{number}"] = {**ours, "id": f"msgbatch_x{number}", "request_counts": _ONE}
    provider.finish(ours)
    done = await carry_on(batch, one)
    assert (provider.created, done.counts["succeeded"]) == (1, 2)
    lists = [each.path for each in provider.received if each.method == "GET" and "limit=" in each.path]
    assert len([path for path in lists if "after_id" not in path]) < len(lists)


_ONE = {"processing": 1, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}

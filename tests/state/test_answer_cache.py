"""Answers in the store: fresh or not, one leader at a time, and bounds where the store is in a process."""

import asyncio

import msgspec
import pytest

from app.settings import load
from app.state import answer_cache
from app.state.answer_cache import MAX_BYTES, AnswerCache, Found, KeptAnswer
from app.state.in_process import InProcessStore
from app.state.store import Store
from tests.doubles import AbsentStore
from tests.logged import capture_logs

ANSWER = KeptAnswer("42", "double/scripted", ("calculator",), ("https://example.org",))


@pytest.fixture
def cache(store: Store) -> AnswerCache:
    return AnswerCache(store, load(None))


async def test_an_answer_is_found_with_its_age_by_whoever_asks(cache: AnswerCache) -> None:
    assert await cache.find("k", "a", 60) == Found("lead")
    assert cache.keep("k", "a", ANSWER, 60)
    await cache.aclose()
    await asyncio.sleep(0.05)
    found = await cache.find("k", "b", 60)
    assert (found.status, found.answer) == ("kept", ANSWER)
    assert 0.04 <= found.age_seconds < 30
    assert (await cache.find("other", "b", 60)).status == "lead"


async def test_an_answer_that_is_not_fresh_is_there_to_be_read_but_not_found(cache: AnswerCache) -> None:
    cache.keep("k", "a", ANSWER, 60)
    await cache.aclose()
    await asyncio.sleep(0.02)
    assert (await cache.find("k", "b", 0.001)).status == "lead"
    assert (await cache.read("k")).answer == ANSWER
    assert await cache.read("other") == Found("none")


async def test_an_answer_goes_when_its_time_is_over(cache: AnswerCache) -> None:
    cache.keep("k", "a", ANSWER, 0.05)
    await cache.aclose()
    await asyncio.sleep(0.1)
    assert await cache.read("k") == Found("none")


async def test_one_has_the_lead_until_it_gives_it_back(cache: AnswerCache) -> None:
    assert [(await cache.find("k", who, 60)).status for who in "abab"] == ["lead", "wait", "lead", "wait"]
    cache.release("k", "b")
    await cache.aclose()
    assert (await cache.find("k", "b", 60)).status == "wait"
    cache.release("k", "a")
    await cache.aclose()
    assert (await cache.find("k", "b", 60)).status == "lead"


async def test_a_lead_that_is_not_renewed_is_lost(cache: AnswerCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "LEAD_SECONDS", 0.3)
    await cache.find("k", "a", 60)
    for _ in range(4):
        await asyncio.sleep(0.15)
        cache.renew("k", "a")
    await cache.aclose()
    assert (await cache.find("k", "b", 60)).status == "wait"
    await asyncio.sleep(0.4)
    assert (await cache.find("k", "b", 60)).status == "lead"
    cache.renew("k", "a")
    cache.release("k", "a")
    await cache.aclose()
    assert (await cache.find("k", "a", 60)).status == "wait"


async def test_nobody_waits_where_the_answer_may_not_be_kept_until_one_is(cache: AnswerCache) -> None:
    await cache.find("k", "a", 60)
    cache.release("k", "a", alone=True)
    await cache.aclose()
    assert [(await cache.find("k", who, 60)).status for who in "bc"] == ["alone", "alone"]
    cache.keep("k", "b", ANSWER, 0.05)
    await cache.aclose()
    await asyncio.sleep(0.1)
    assert (await cache.find("k", "c", 60)).status == "lead"


async def test_an_answer_that_is_too_large_is_not_kept(cache: AnswerCache) -> None:
    assert not cache.keep("k", "a", msgspec.structs.replace(ANSWER, text="x" * MAX_BYTES), 60)
    assert await cache.read("k") == Found("none")


async def test_what_cannot_be_read_is_no_answer(cache: AnswerCache, store: Store) -> None:
    await store.call("HSET", "answer:{k}", "at", 1, "answer", "{")
    assert (await cache.read("k")).answer is None


async def test_a_store_in_the_process_holds_so_many_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(msgspec.json.encode(ANSWER))
    store = InProcessStore()
    for bounds, kept in (((3, 1_000_000), 3), ((100, 4 * size), 4)):
        await store.call("FLUSHALL")
        monkeypatch.setattr(answer_cache, "IN_PROCESS", bounds)
        cache = AnswerCache(store, load(None))
        for number in (0, 0, *range(9)):  # one is kept again
            cache.keep(str(number), "a", ANSWER, 60)
            await asyncio.sleep(0.002)
        await cache.aclose()
        there = [number for number in range(9) if (await cache.read(str(number))).answer]
        assert there == list(range(9))[-kept:]
        assert await store.call("ZCARD", "answers") == kept
        assert int(await store.call("HGET", "answer-sizes", "")) == kept * size
        assert await store.call("HLEN", "answer-sizes") == kept + 1
    await store.aclose()


async def test_what_the_store_did_not_take_is_told_to_the_log_only() -> None:
    cache = AnswerCache(AbsentStore(), load(None))
    with capture_logs() as logs:
        assert cache.keep("k", "a", ANSWER, 60)
        await cache.aclose()
    assert [line["event"] for line in logs] == ["answer_cache.unwritten"]
    assert "42" not in str(logs)

"""The bulkhead: how many calls are open and wait, whoever comes, leaves or runs out of time."""

import asyncio
import math
from contextlib import suppress
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ModelUnavailable
from app.models.bulkhead import Bulkhead
from app.telemetry import metrics
from tests.models.virtual_time import in_virtual_time

_names = (f"bulkhead/{number}" for number in count())


def bulkhead(max_calls: int, max_queued: int = 100) -> Bulkhead:
    return Bulkhead(next(_names), max_calls, max_queued)


async def call(subject: Bulkhead, seconds: float, ends_at: float = math.inf) -> float:
    """A call that takes so long. Returns when it began."""
    await subject.enter(ends_at)
    try:
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(seconds)
    finally:
        subject.leave()
    return began


async def refused(subject: Bulkhead, ends_at: float = math.inf) -> ModelUnavailable:
    with pytest.raises(ModelUnavailable) as error:
        await subject.enter(ends_at)
    assert error.value.reason == "busy"
    assert error.value.status == 503
    return error.value


def test_calls_that_wait_come_in_the_order_of_their_arrival() -> None:
    async def load() -> None:
        subject = bulkhead(2)
        calls = [asyncio.create_task(call(subject, 1)) for _ in range(5)]
        await asyncio.sleep(0.5)
        assert (subject.open, subject.depth) == (2, 3)
        assert [await one for one in calls] == [0, 0, 1, 1, 2]
        assert (subject.open, subject.depth) == (0, 0)

    in_virtual_time(load())


def test_a_full_queue_refuses_at_once_with_the_time_after_which_it_will_be_gone() -> None:
    async def load() -> None:
        subject = bulkhead(1, max_queued=3)
        calls = [asyncio.create_task(call(subject, 2)) for _ in range(4)]
        await asyncio.sleep(0.1)
        assert (await refused(subject)).retry_after == 1, "nothing has been measured yet"
        await asyncio.sleep(2)
        calls.append(asyncio.create_task(call(subject, 2)))
        await asyncio.sleep(0.1)
        assert (await refused(subject)).retry_after == 8, "4 calls of 2 s"
        await asyncio.gather(*calls)

    in_virtual_time(load())


def test_without_a_queue_a_call_has_a_place_at_once_or_none() -> None:
    async def load() -> None:
        subject = bulkhead(1, max_queued=0)
        await subject.enter()
        await refused(subject)
        subject.leave()
        await subject.enter()

    in_virtual_time(load())


def test_what_has_expired_in_the_queue_is_never_called() -> None:
    async def load() -> None:
        subject = bulkhead(1)
        await subject.enter()
        waiting = [asyncio.create_task(refused(subject, ends_at)) for ends_at in (1.0, 2.0)]
        last = asyncio.create_task(call(subject, 0, ends_at=4.0))
        await asyncio.sleep(1.5)
        assert subject.depth == 2
        await asyncio.sleep(1.5)
        assert subject.depth == 1
        assert all(one.done() for one in waiting)
        subject.leave()
        assert await last == 3
        assert (subject.open, subject.depth) == (0, 0)

    in_virtual_time(load())


def test_a_place_is_not_given_to_a_call_whose_time_is_over_in_that_moment() -> None:
    async def load() -> None:
        subject = bulkhead(1)
        await subject.enter()
        late = asyncio.create_task(refused(subject, ends_at=1.0))
        in_time = asyncio.create_task(call(subject, 0))
        asyncio.get_running_loop().call_at(1.0, subject.leave)
        await late
        assert await in_time == 1
        assert (subject.open, subject.depth) == (0, 0)

    in_virtual_time(load())


def test_a_queue_that_cannot_be_reached_in_time_refuses_at_once() -> None:
    async def load() -> None:
        subject = bulkhead(2)
        calls = [asyncio.create_task(call(subject, 4)) for _ in range(8)]
        await asyncio.sleep(5)  # two have ended; 2 are open, 4 wait, and a place becomes free every 2 s
        assert (subject.open, subject.depth) == (2, 4)
        error = await refused(subject, ends_at=asyncio.get_running_loop().time() + 5)
        assert error.retry_after is not None
        assert error.retry_after > 5
        patient = asyncio.create_task(call(subject, 0, ends_at=asyncio.get_running_loop().time() + 30))
        await asyncio.gather(*calls, patient)

    in_virtual_time(load())


def test_the_metrics_tell_what_is_open_and_what_waits() -> None:
    async def load() -> None:
        subject = Bulkhead("bulkhead/metrics", 1, 10)
        calls = [asyncio.create_task(call(subject, 1)) for _ in range(3)]
        await asyncio.sleep(0.5)
        gauges = (metrics.MODEL_CALLS_OPEN, metrics.MODEL_QUEUE_DEPTH)
        samples = [gauge.labels("bulkhead/metrics").collect for gauge in gauges]
        assert [next(iter(next(iter(collect())).samples)).value for collect in samples] == [1, 2]
        await asyncio.gather(*calls)
        assert [next(iter(next(iter(collect())).samples)).value for collect in samples] == [0, 0]

    in_virtual_time(load())


tenths = st.integers(0, 30).map(lambda tenths: tenths / 10)
visits = st.tuples(tenths, tenths, st.none() | tenths, st.none() | tenths)
"""When it comes, how long its call takes, how long it would wait, and after how long it is cancelled."""


@settings(deadline=None, max_examples=300)
@given(max_calls=st.integers(1, 3), max_queued=st.integers(0, 5), visits=st.lists(visits, max_size=25))
def test_no_place_is_lost_or_given_twice(
    max_calls: int, max_queued: int, visits: list[tuple[float, float, float | None, float | None]]
) -> None:
    async def load() -> None:
        subject = bulkhead(max_calls, max_queued)
        now = asyncio.get_running_loop().time
        inside = 0

        async def visit(seconds: float, patience: float | None) -> None:
            nonlocal inside
            ends_at = math.inf if patience is None else now() + patience
            await subject.enter(ends_at)
            inside += 1
            try:
                assert inside <= max_calls
                assert subject.depth <= max_queued
                await asyncio.sleep(seconds)
            finally:
                inside -= 1
                subject.leave()

        async def come(at: float, seconds: float, patience: float | None, cancelled_after: float | None) -> None:
            await asyncio.sleep(at)
            visiting = asyncio.create_task(visit(seconds, patience))
            if cancelled_after is not None:
                asyncio.get_running_loop().call_later(cancelled_after, visiting.cancel)
            with suppress(asyncio.CancelledError, ModelUnavailable):
                await visiting

        await asyncio.gather(*(come(*one) for one in visits))
        assert (inside, subject.open, subject.depth) == (0, 0, 0)
        for _ in range(max_calls):
            await subject.enter()
        assert subject.open == max_calls

    in_virtual_time(load())

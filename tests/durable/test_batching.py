"""Events are written together, and told once they are in the store."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.durable.journal import TOGETHER
from app.durable.record import Write, Written
from app.state.in_process import InProcessStore
from tests.doubles import answers
from tests.durable.house import OWNER, Process

WORDS = [f"{number} " for number in range(500)]


class Watched(Process):
    """A process whose writes are counted."""

    def watch(self) -> list[Write]:
        writes: list[Write] = []
        write = self.records.write

        async def watched(one: Write) -> Written:
            writes.append(one)
            return await write(one)

        self.records.write = watched  # type: ignore[method-assign, assignment]
        return writes


@pytest.fixture
async def store() -> AsyncIterator[InProcessStore]:
    store = InProcessStore()
    yield store
    await store.aclose()


async def test_events_that_come_together_are_written_together(store: InProcessStore) -> None:
    process = Watched(store, answers(*WORDS))
    writes = process.watch()
    run_id = await process.submit(stream=True)
    await process.works(run_id)
    assert (await process.answered(run_id)).answer == "".join(WORDS)
    assert len(await process.kept_events(run_id)) == 1 + len(WORDS) + 2
    assert len(writes) <= 4
    assert process.readers.events == list(await process.records.events(OWNER, run_id, 0))


async def test_an_event_that_comes_alone_is_written_at_once(store: InProcessStore) -> None:
    steps: list[asyncio.Event | str] = []
    for word in WORDS[:5]:
        steps += [word, asyncio.Event()]
    process = Watched(store, [*steps, *answers("end")])
    process.watch()
    run_id = await process.submit(stream=True)
    task = process.works(run_id)
    for number, event in enumerate(steps[1::2], 1):
        async with asyncio.timeout(5):
            while (await process.record(run_id)).last_event < 1 + number:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0)
        assert len(process.readers.events) <= 1 + number
        assert isinstance(event, asyncio.Event)
        event.set()
    await task
    assert len(process.readers.events) < TOGETHER

"""Entries reach the log at once, and the store together, in their order and without any being lost."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from app.audit.entry import Entry
from app.audit.record import Record, decode
from app.audit.recorder import MOST_QUEUED, Recorder
from app.audit.repeats import MOST_STRANGERS
from app.audit.stream import Stream
from app.audit.writer import Writer
from app.errors import StateUnavailable
from app.state.redis import connect
from app.state.store import Argument, Store, unavailable
from app.telemetry.context import RequestContext, current
from app.telemetry.logs import log
from app.telemetry.metrics import GUARD_ERRORS
from tests.audit.stage import CALL, kept, kinds, recording
from tests.redis_server import RedisServer

Lines = list[dict[str, Any]]


class Fickle:
    """A store that can be away, and can lose its replies."""

    def __init__(self, store: Store) -> None:
        self.away = False
        self.mute = False
        """Commands are carried out; their replies are lost."""
        self.calls = 0
        self._store = store

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        self.calls += 1
        if not (self.away or self.mute):
            return self._store.call(*command)
        if self.mute:
            return asyncio.ensure_future(self._unanswered(self._store.call(*command)))
        failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        failed.set_exception(unavailable(ConnectionError("away")))
        failed.exception()
        return failed

    async def _unanswered(self, reply: Awaitable[Any]) -> Any:
        try:
            await reply
        except StateUnavailable as error:
            if "NOSCRIPT" in str(error.__cause__):
                raise
        raise unavailable(TimeoutError("no answer"))

    async def aclose(self) -> None:
        await self._store.aclose()


@pytest.fixture
def fickle(store: Store) -> Fickle:
    return Fickle(store)


def failures(reason: str) -> float:
    """As /health is told of them."""
    return float(GUARD_ERRORS.labels("audit", reason)._value.get())


async def records(store: Store) -> list[Record]:
    return [decode(stored.data) for stored in await kept(store)]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110 - a store tells nobody
            await asyncio.sleep(0.01)


async def test_a_write_returns_when_the_store_has_it(store: Store, lines: Lines) -> None:
    audit = recording(store).audit
    token = current.set(RequestContext("req-1", ""))
    try:
        await audit.write(CALL)
    finally:
        current.reset(token)
    (record,) = await records(store)
    assert record.entry == replace(CALL, request_id="req-1")
    seconds, _ = await store.call("TIME")
    assert abs(int(seconds) * 1000 - record.at) < 5_000
    (line,) = [line for line in lines if line["event"] == "audit"]
    assert line["user"] == "ada"
    assert line["on"] == "calculator"


async def test_writes_of_one_moment_take_one_round_trip(fickle: Fickle) -> None:
    audit = recording(fickle).audit
    await audit.write(CALL)
    before = fickle.calls
    await asyncio.gather(*[audit.write(replace(CALL, run_id=str(number))) for number in range(100)])
    assert fickle.calls - before == 1
    found = await records(fickle)
    assert [record.entry.run_id for record in found[1:]] == [str(number) for number in range(100)]
    assert await kinds(fickle) == set()


async def test_processes_that_write_at_once_keep_their_own_chains(server: Store) -> None:
    made = [recording(server).audit for _ in range(5)]
    await asyncio.gather(*[audit.write(CALL) for _ in range(40) for audit in made])
    found = await records(server)
    assert len(found) == 200
    for audit in made:
        own = [record.sequence for record in found if record.writer == audit.writer.name]
        assert own == list(range(1, 41))
    assert await kinds(server) == set()


async def test_a_process_that_starts_anew_is_another_writer(server: Store) -> None:
    for _ in range(2):
        made = recording(server)
        await made.audit.write(CALL)
        await made.aclose()
    assert len({record.writer for record in await records(server)}) == 2
    assert await kinds(server) == set()


async def test_where_nothing_can_be_written_a_write_raises_and_a_note_is_kept(fickle: Fickle, lines: Lines) -> None:
    audit = recording(fickle).audit
    fickle.away, before = True, failures("unavailable")
    audit.note(replace(CALL, why="noted"))
    with pytest.raises(StateUnavailable):
        await audit.write(CALL)
    assert failures("unavailable") > before
    assert len([line for line in lines if line["event"] == "audit"]) == 2, "the log has both"
    fickle.away = False
    await until(lambda: _has(fickle, "noted"))
    assert audit.dropped == 0
    await audit.aclose()
    assert await kinds(fickle) == set()


async def _has(store: Store, why: str) -> bool:
    return any(record.entry.why == why for record in await records(store))


async def test_a_batch_whose_reply_was_lost_is_there_once(fickle: Fickle) -> None:
    audit = recording(fickle).audit
    await audit.write(CALL)
    fickle.mute = True
    audit.note(replace(CALL, why="unsure"))
    with pytest.raises(StateUnavailable):
        await audit.write(replace(CALL, why="too"))
    fickle.mute = False
    await audit.write(replace(CALL, why="after"))
    assert [record.entry.why for record in await records(fickle)] == ["", "unsure", "too", "after"]
    assert await kinds(fickle) == set()


async def test_what_does_not_fit_into_the_queue_is_counted_and_in_the_log(fickle: Fickle, lines: Lines) -> None:
    made = recording(fickle)
    await made.audit.write(CALL)
    fickle.away = True
    for _ in range(MOST_QUEUED + 500):
        made.audit.note(CALL)
    assert len([line for line in lines if line["event"] == "audit"]) == MOST_QUEUED + 501
    assert made.audit.dropped == 500
    fickle.away = False
    head = await made.sealing.seal()
    assert head is not None
    assert head["dropped"] == 500
    made.audit._queue.clear()
    await made.audit.aclose()


async def test_notes_are_appended_before_a_process_ends(store: Store) -> None:
    made = recording(store)
    for number in range(600):
        made.audit.note(replace(CALL, run_id=str(number)))
    await made.aclose()
    assert len(await records(store)) == 600
    assert await kinds(store) == set()


async def test_a_process_that_ends_without_its_store_says_what_it_could_not_keep(fickle: Fickle, lines: Lines) -> None:
    made = recording(fickle)
    await made.audit.write(CALL)
    fickle.away = True
    made.audit.note(CALL)
    await made.aclose()
    assert made.audit.dropped == 1
    (head,) = [line for line in lines if line["event"] == "audit.head"]
    assert (head["kind"], head["sequence"], head["dropped"]) == ("final", 1, 1)


async def test_notes_of_other_threads_and_of_before_the_start_are_kept(store: Store) -> None:
    audit = Recorder(Writer(Stream(store)))
    thread = threading.Thread(target=audit.note, args=(CALL,))
    thread.start()
    thread.join()
    assert await records(store) == []
    audit.begin()
    await until(lambda: _holds(store, 1))
    await asyncio.to_thread(audit.note, CALL)
    await until(lambda: _holds(store, 2))


async def _holds(store: Store, count: int) -> bool:
    return len(await records(store)) == count


@pytest.mark.parametrize(
    ("action", "who", "kept_by_themselves"),
    [
        ("authenticate", {"address": "203.0.113.7"}, 1),
        ("limit", {"user": "ada"}, 1),
        ("guard", {"user": "ada"}, 50),
        ("guard", {"user": "anonymous:anonymous", "address": "203.0.113.7"}, 1),
    ],
)
async def test_equal_refusals_of_a_caller_are_one_entry_a_minute_beside_the_first(
    store: Store, action: Any, who: dict[str, Any], kept_by_themselves: int
) -> None:
    made = recording(store)
    for number in range(50):
        made.audit.note(Entry(action, "refused", why="invalid", request_id=str(number), **who))
    await made.aclose()
    found = [record.entry for record in await records(store)]
    assert len([entry for entry in found if entry.count == 1]) == kept_by_themselves
    assert sum(entry.count for entry in found) == 50
    assert found[0].request_id == "0"


@pytest.mark.parametrize(
    ("action", "run_id", "entries"), [("tool", "", 2), ("approval", "a-run", 2), ("tool", "a-run", 50)]
)
async def test_calls_by_hand_and_decisions_that_are_refused_again_and_again_are_two_entries(
    store: Store, action: Any, run_id: str, entries: int
) -> None:
    """Calls of runs are each on record: nobody has them made for nothing but the asking."""
    made = recording(store)
    for number in range(50):
        made.audit.note(Entry(action, "refused", "ada", on="x", why="y", run_id=run_id, arguments=str(number)))
    await made.aclose()
    found = [record.entry for record in await records(store)]
    assert (len(found), sum(entry.count for entry in found)) == (entries, 50)


async def test_strangers_cannot_fill_the_store_however_many_addresses_they_have(store: Store) -> None:
    made = recording(store)
    for number in range(10_000):
        address = f"2001:db8:{number % 5_000:x}::/64"
        made.audit.note(Entry("authenticate", "refused", address=address, why="invalid"))
    await made.aclose()
    found = [record.entry for record in await records(store)]
    assert len(found) <= 2 * MOST_STRANGERS + 1
    assert sum(entry.count for entry in found) == 10_000


async def test_no_credential_that_is_sent_as_a_request_id_is_on_record(store: Store, lines: Lines) -> None:
    secret = "agentapi_" + "A1b2C3d4" * 5
    audit = recording(store).audit
    await audit.write(replace(CALL, request_id=secret))
    assert all(secret.encode() not in stored.data for stored in await kept(store))
    assert secret not in str([line for line in lines if line["event"] == "audit"])


async def test_a_server_that_has_lost_its_last_moments_gets_them_again(redis_server: RedisServer) -> None:
    store = connect(redis_server.url)
    await store.call("FLUSHALL")
    made = recording(store)
    for _ in range(10):
        await made.audit.write(CALL)
    head = await made.sealing.seal()
    assert head
    await store.call("FLUSHALL")  # as a server without persistence that was started anew
    await made.audit.write(CALL)
    assert [record.sequence for record in await records(store)] == list(range(1, 12))
    assert await kinds(store, [msgspec.json.encode(head)]) == set()
    await store.aclose()


async def test_another_who_writes_in_the_name_of_a_process_is_found(server: Store) -> None:
    made, other, before = recording(server), recording(server), failures("fork")
    await made.audit.write(CALL)
    other.audit.writer.name = made.audit.writer.name
    other.audit.writer.end = made.audit.writer.end
    await other.audit.write(CALL)
    await made.audit.write(replace(CALL, why="own"))
    assert failures("fork") == before + 1
    assert made.audit.writer.name != other.audit.writer.name
    assert await _has(server, "own")


async def test_the_log_has_every_entry_at_every_level(store: Store, lines: Lines) -> None:
    log.level = logging.ERROR
    audit = recording(store).audit
    await audit.write(CALL)
    audit.note(CALL)
    assert [line["event"] for line in lines] == ["audit", "audit"]

"""What is old goes, and what stays can be verified all the same."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.audit import retention as module
from app.audit.keys import ANCHORS, HEADS, STREAM, TRIMMED, TRIMMING, WRITERS
from app.audit.record import decode
from app.audit.retention import Retention
from app.audit.signing import make_key_files, read_public_key
from app.audit.stream import PAGE, Stream
from app.state.store import Store
from tests.audit.stage import CALL, kept, kinds, rechained, recording, rewrite, written
from tests.logged import capture_logs

WEEK_MS = 7 * 86_400_000


async def age(store: Store, count: int, milliseconds: int = WEEK_MS) -> None:
    """Let the first records be so much older: their times as well, and so all hashes and ends."""
    records = await kept(store)
    old = []
    for stored in records[:count]:
        record = {**msgspec.json.decode(stored.data)}
        record["at"] -= milliseconds
        at, _, number = stored.id.partition("-")
        old.append(stored._replace(id=f"{int(at) - milliseconds}-{number}", data=msgspec.json.encode(record)))
    await rewrite(store, rechained([*old, *records[count:]]))


def retention(store: Store, days: float = 1, **settings: Any) -> Retention:
    made = recording(store, **settings)
    return Retention(Stream(store, days), made.sealing, most=1_000_000)


async def test_old_records_go_and_the_rest_holds_together(server: Store, tmp_path: Path) -> None:
    public = read_public_key(make_key_files(tmp_path / "key"))
    await written(server, 20, processes=3)
    await server.call("DEL", HEADS)
    await age(server, 30)
    assert await retention(server, audit_key_file=tmp_path / "key").trim() == 30
    assert len(await kept(server)) == 30
    assert await kinds(server, public_keys=[public]) == set()
    await server.call("DEL", ANCHORS)
    assert await kinds(server) == {"unanchored"}, "it is the signed anchors that say so"


async def test_more_than_a_page_goes_at_once(server: Store) -> None:
    made = recording(server)
    for _ in range(2 * PAGE + 100):
        made.audit.note(CALL)
    await made.audit.aclose()
    await age(server, 2 * PAGE + 50)
    assert await retention(server).trim() == 2 * PAGE + 50
    assert await kinds(server) == set()


async def test_young_records_stay(server: Store) -> None:
    heads = await written(server)
    assert await retention(server).trim() == 0
    assert len(await kept(server)) == 10
    assert await kinds(server, heads) == set()


async def test_heads_of_trimmed_records_are_no_problem(server: Store) -> None:
    heads = await written(server, 5)
    assert await Retention(Stream(server, 0), recording(server).sealing, most=0).trim() == 5
    assert await kept(server) == []
    assert await kinds(server, heads) == set()


async def test_a_process_goes_on_after_all_that_it_wrote_was_trimmed(server: Store) -> None:
    made = recording(server)
    for _ in range(3):
        await made.audit.write(CALL)
    await made.sealing.seal()
    await Retention(Stream(server, 30), made.sealing, most=0).trim()
    await made.audit.write(CALL)
    (stored,) = await kept(server)
    assert decode(stored.data).sequence == 4
    assert await kinds(server) == set()


async def test_a_writer_of_which_nothing_is_left_is_forgotten_and_still_counted(server: Store) -> None:
    heads = await written(server, 5)
    await age(server, 5)
    await server.call("DEL", HEADS)
    (writer, *_) = await server.call("HKEYS", WRITERS)
    last = decode((await kept(server))[-1].data)
    await server.call("HSET", WRITERS, writer, f"{last.sequence} {(await kept(server))[-1].hash}")
    later = await written(server, 5)
    assert await retention(server).trim() == 5
    assert await server.call("HEXISTS", WRITERS, writer) == 0
    assert await server.call("HEXISTS", ANCHORS, writer) == 0
    assert await kinds(server, later) == set(), "the heads say two writers, of which one is over"
    assert await kinds(server, heads) == {"gone"}, "a head that is younger than what was trimmed needs its records"


async def test_what_does_not_hold_together_is_told_when_it_is_trimmed(
    server: Store, lines: list[dict[str, Any]]
) -> None:
    await written(server, 10)
    await server.call("DEL", HEADS)
    await age(server, 6)
    records = await kept(server)
    await rewrite(server, [*records[:2], *records[3:]])
    await retention(server).trim()
    (broken,) = [line for line in lines if line["event"] == "audit.broken"]
    assert broken["kinds"] == ["missing"]
    assert await kinds(server) == set(), "what is left holds together"
    anchor = msgspec.json.decode((await server.call("HVALS", ANCHORS))[0])
    assert anchor["breaks"] == 1


async def test_one_process_trims_at_a_time(server: Store) -> None:
    await written(server, 5)
    await server.call("SET", TRIMMING, "1")
    assert await Retention(Stream(server, 0), recording(server).sealing, most=0).trim() == 0
    await server.call("DEL", TRIMMING)
    assert await Retention(Stream(server, 0), recording(server).sealing, most=0).trim() == 5


async def test_of_more_than_may_be_kept_the_oldest_go_within_a_minute(
    server: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However young they are: whoever calls as often as they may does not fill the store."""
    monkeypatch.setattr(module, "MINUTE", 0.01)
    await written(server, 2 * PAGE + 100)
    with capture_logs() as lines:
        task = asyncio.create_task(Retention(Stream(server, 30), recording(server).sealing, most=100).run())
        for _ in range(1_000):
            await asyncio.sleep(0.01)
            if any(line["event"] == "audit.full" for line in lines):
                break
        task.cancel()
    assert len(await kept(server)) == 100
    assert await kinds(server) == set()


async def test_without_a_server_the_newest_records_are_kept(store: Store) -> None:
    await written(store, 10)
    assert await Retention(Stream(store, 30), recording(store).sealing, most=4).trim() == 6
    assert [decode(stored.data).sequence for stored in await kept(store)] == [7, 8, 9, 10]
    assert await kinds(store) == set()


async def test_everything_in_the_store_has_an_end(server: Store) -> None:
    await written(server, 5)
    await Retention(Stream(server, 1), recording(server).sealing, most=2).trim()
    for key in (STREAM, WRITERS, HEADS, ANCHORS, TRIMMED):
        assert 0 < await server.call("TTL", key) <= 91 * 86_400, key

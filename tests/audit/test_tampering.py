"""Whoever can write to the store cannot change the record without being found out."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app.audit.canonical import digest
from app.audit.keys import ANCHORS, HEADS, STREAM, TRIMMED, WRITERS
from app.audit.record import decode
from app.audit.signing import make_key_files, read_public_key, signer_of
from app.audit.stream import Stored
from app.state.store import Store
from tests.audit.stage import kept, kinds, rechained, rewrite, written

Change = Callable[[list[Stored]], list[Stored]]


async def test_an_untouched_record_holds_together(store: Store) -> None:
    heads = await written(store, processes=3)
    assert await kinds(store, heads) == set()


def edited(stored: Stored, *, resealed: bool) -> Stored:
    """Another tool, with the hash of what is there now where it is sealed again."""
    data = stored.data.replace(b"calculator", b"harmless")
    return Stored(stored.id, data, digest(data) if resealed else stored.hash)


CHANGES: dict[str, tuple[Change, str]] = {
    "a field": (lambda them: [*them[:3], edited(them[3], resealed=False), *them[4:]], "edited"),
    "a field and its hash": (lambda them: [*them[:3], edited(them[3], resealed=True), *them[4:]], "edited"),
    "a field and the whole chain": (
        lambda them: rechained([*them[:3], edited(them[3], resealed=True), *them[4:]]),
        "rewritten",
    ),
    "the last one": (lambda them: [*them[:-1], edited(them[-1], resealed=True)], "rewritten"),
    "one is gone": (lambda them: [*them[:3], *them[4:]], "missing"),
    "two change places": (lambda them: [*them[:3], them[4], them[3], *them[5:]], "reordered"),
    "one is there twice": (lambda them: [*them, them[3]], "fork"),
    "another one with the same number": (lambda them: [*them, edited(them[-1], resealed=True)], "fork"),
    "the first are gone": (lambda them: them[3:], "unanchored"),
    "the last are gone": (lambda them: them[:-3], "cut"),
    "all are gone": (lambda _: [], "gone"),
    "no record": (lambda them: [*them, Stored(them[-1].id, b"{}", digest(b"{}"))], "unreadable"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_was_changed_in_the_stream_is_found(server: Store, what: str) -> None:
    change, kind = CHANGES[what]
    heads = await written(server)
    await rewrite(server, change(await kept(server)))
    assert kind in await kinds(server), "with the heads of the store"
    await server.call("DEL", HEADS)
    assert kind in await kinds(server, heads), "with those of the log"


async def test_a_writer_of_which_everything_is_gone_is_missed(server: Store) -> None:
    heads = await written(server, processes=3)
    all_records = await kept(server)
    gone = decode(all_records[0].data).writer
    await rewrite(server, [stored for stored in all_records if decode(stored.data).writer != gone])
    assert await kinds(server) == {"gone"}
    for key in (HEADS, WRITERS):
        await server.call("HDEL", key, gone)
    assert await kinds(server) == {"writers"}, "the others' heads say how many writers there were"
    assert await kinds(server, heads) == {"gone"}


async def test_the_deletion_of_everything_is_found_by_the_heads_of_the_log(server: Store) -> None:
    heads = await written(server, processes=2)
    await server.call("DEL", STREAM, WRITERS, HEADS, ANCHORS, TRIMMED)
    assert await kinds(server, heads) >= {"gone"}
    assert await kinds(server) == set(), "nobody else knows that there was anything"


async def test_a_record_that_says_a_later_time_than_its_place_is_found(server: Store) -> None:
    await written(server)
    records = await kept(server)
    await rewrite(server, [stored._replace(id=f"{int(stored.id[:13]) - 60_000}-0") for stored in records])
    assert "moved" in await kinds(server)


async def test_a_head_that_was_edited_or_signed_by_others_is_forged(server: Store, tmp_path: Path) -> None:
    public = read_public_key(make_key_files(tmp_path / "key"))
    heads = await written(server, audit_key_file=tmp_path / "key")
    assert await kinds(server, heads, public_keys=[public]) == set()
    head = msgspec.json.decode(heads[0])
    assert await kinds(server, [msgspec.json.encode({**head, "sequence": 3})]) == {"forged"}
    forger = signer_of(None)
    fields = {name: value for name, value in head.items() if name not in ("event", "level", "signature")}
    forged = msgspec.json.encode(forger.sign(fields))
    assert await kinds(server, [forged]) == set(), "without --public-key any key is taken"
    assert await kinds(server, [forged], public_keys=[public]) == {"forged"}
    own = {name: value for name, value in forger.sign(fields).items() if name != "key"} | {"key": head["key"]}
    assert await kinds(server, [msgspec.json.encode(own)], public_keys=[public]) == {"forged"}


async def test_an_anchor_that_nobody_signed_excuses_nothing(server: Store, tmp_path: Path) -> None:
    public = read_public_key(make_key_files(tmp_path / "key"))
    heads = await written(server, audit_key_file=tmp_path / "key")
    records = await kept(server)
    await rewrite(server, records[3:])
    head = msgspec.json.decode(heads[0])
    anchor = {"kind": "anchor", "sequence": 3, "hash": records[2].hash, "writer": head["writer"], "breaks": 0}
    anchor |= {"at": head["at"], "writers": 0, "last_id": "", "dropped": 0}
    await server.call("HSET", ANCHORS, head["writer"], msgspec.json.encode(signer_of(None).sign(anchor)))
    assert await kinds(server, public_keys=[public]) == {"forged", "unanchored"}
    await server.call("HSET", ANCHORS, head["writer"], heads[0])
    assert "unanchored" in await kinds(server, public_keys=[public]), "a head is no anchor"

"""Records that a test may tamper with."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.audit.build import Recording
from app.audit.canonical import canonical, digest
from app.audit.entry import Entry
from app.audit.keys import STREAM
from app.audit.record import Sealed, decode
from app.audit.reporting import verify
from app.audit.stream import Stored, Stream, order_of
from app.audit.verifying import Verdict
from app.settings import load
from app.state.store import Store

CALL = Entry("tool", "allowed", user="ada", team="core", on="calculator")


def recording(store: Store, **settings: Any) -> Recording:
    """The record of one process."""
    return Recording(load(None, **settings), store)


async def written(store: Store, entries: int = 10, processes: int = 1, **settings: Any) -> list[bytes]:
    """Several processes' entries, in turns; returns their signed heads as the log has them."""
    made = [recording(store, **settings) for _ in range(processes)]
    for number in range(entries):
        for each in made:
            await each.audit.write(msgspec.structs.replace(CALL, run_id=f"run-{number}"))
    heads = [await each.sealing.seal() for each in made]
    return [msgspec.json.encode({"event": "audit.head", "level": "info", **head}) for head in heads if head]


async def kept(store: Store) -> list[Stored]:
    return [stored async for page in Stream(store).pages() for stored in page]


async def rewrite(store: Store, records: Sequence[Stored]) -> None:
    """Have the stream hold these, as somebody can who has the store's password."""
    await store.call("DEL", STREAM)
    at = 0
    for number, stored in enumerate(records):
        at = max(at, order_of(stored.id)[0])
        await store.call("XADD", STREAM, f"{at}-{number + 1_000}", "r", stored.data, "h", stored.hash)


def rechained(records: list[Stored]) -> list[Stored]:
    """Every record after an edit sealed again, as somebody does who knows how it works."""
    ends: dict[str, Sealed] = {}
    made = []
    for stored in records:
        record = decode(stored.data)
        before = ends.get(record.writer)
        fields = {**msgspec.json.decode(stored.data), "previous": before.hash if before else "0" * 64}
        data = canonical(fields)
        ends[record.writer] = Sealed(record.sequence, data, digest(data))
        made.append(Stored(stored.id, data, digest(data)))
    return made


async def kinds(store: Store, heads: Sequence[bytes] = (), **options: Any) -> set[str]:
    """Kinds of problems that a verification finds."""
    return kinds_of(await verify(store, heads, **options))


def kinds_of(verdict: Verdict) -> set[str]:
    return {problem.kind for problem in verdict.problems}

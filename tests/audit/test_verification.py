"""What holds of any record and any change of it."""

import json
from collections.abc import Sequence

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.audit.canonical import canonical, digest
from app.audit.entry import Entry
from app.audit.heads import Kept
from app.audit.record import BEGIN, Link, decode, seal
from app.audit.signing import Signer, signer_of
from app.audit.stream import Stored
from app.audit.verifying import Verdict, Verification

SIGNER: Signer = signer_of(None)
ENTRIES = st.builds(
    Entry,
    st.sampled_from(["tool", "admin", "limit"]),
    st.sampled_from(["allowed", "refused"]),
    user=st.text(max_size=5),
    why=st.text(max_size=5),
    count=st.integers(1, 9),
)
WRITTEN = st.lists(st.tuples(st.sampled_from("abc"), ENTRIES), min_size=1, max_size=20)
"""Who wrote what, in the order of the stream."""


def stream_of(written: Sequence[tuple[str, Entry]]) -> tuple[list[Stored], list[bytes]]:
    """The records, and the last heads of their writers."""
    ends: dict[str, Link] = {}
    records = []
    for number, (writer, entry) in enumerate(written):
        sealed = seal(entry, writer, 1_000 + number, ends.get(writer, BEGIN))
        ends[writer] = Link(sealed.sequence, sealed.hash)
        records.append(Stored(f"{1_000 + number}-0", sealed.data, sealed.hash))
    return records, [
        msgspec.json.encode(
            SIGNER.sign(
                {"kind": "head", "writer": writer, "sequence": end.sequence, "hash": end.hash, "at": 2_000}
                | {"writers": len(ends), "last_id": records[-1].id, "dropped": 0, "breaks": 0}
            )
        )
        for writer, end in ends.items()
    ]


def verdict_on(records: Sequence[Stored], heads: Sequence[bytes]) -> Verdict:
    verification = Verification(Kept({}, {}, None), heads, [SIGNER.public_key])
    for stored in records:
        verification.add(stored)
    return verification.end()


@settings(max_examples=50)
@given(WRITTEN)
def test_what_was_written_holds_together(written: list[tuple[str, Entry]]) -> None:
    verdict = verdict_on(*stream_of(written))
    assert verdict.problems == []
    assert (verdict.found, verdict.records, verdict.writers) == (0, len(written), len({who for who, _ in written}))


@settings(max_examples=50)
@given(WRITTEN, st.data())
def test_every_removal_doubling_and_exchange_is_found(written: list[tuple[str, Entry]], data: st.DataObject) -> None:
    records, heads = stream_of(written)
    at = data.draw(st.integers(0, len(records) - 1))
    to = data.draw(st.integers(0, len(records) - 1))
    match data.draw(st.sampled_from(["remove", "cut", "double", "exchange"])):
        case "remove":
            changed = records[:at] + records[at + 1 :]
        case "cut":
            changed = records[:at]
        case "double":
            changed = [*records[:to], records[at], *records[to:]]
        case _:
            assume(decode(records[at].data).writer == decode(records[to].data).writer and at != to)
            changed = records[:]
            changed[at], changed[to] = records[to], records[at]
    assert verdict_on(changed, heads).found


@settings(max_examples=50)
@given(WRITTEN, st.data())
def test_every_edit_is_found_even_if_all_hashes_are_made_anew(
    written: list[tuple[str, Entry]], data: st.DataObject
) -> None:
    records, heads = stream_of(written)
    at = data.draw(st.integers(0, len(records) - 1))
    other = data.draw(ENTRIES)
    writer, entry = written[at]
    assume(other != entry)
    anew, _ = stream_of([*written[:at], (writer, other), *written[at + 1 :]])
    assert verdict_on(anew, heads).found, "all hashes of the chain made anew"
    one = [*records[:at], anew[at], *records[at + 1 :]]
    assert verdict_on(one, heads).found, "its own hash alone"


@settings(max_examples=50)
@given(WRITTEN, st.data())
def test_every_changed_byte_is_found(written: list[tuple[str, Entry]], data: st.DataObject) -> None:
    records, heads = stream_of(written)
    at = data.draw(st.integers(0, len(records) - 1))
    record = bytearray(records[at].data)
    place = data.draw(st.integers(0, len(record) - 1))
    record[place] ^= 1 << data.draw(st.integers(0, 7))
    changed = Stored(records[at].id, bytes(record), digest(bytes(record)))
    assert verdict_on([*records[:at], changed, *records[at + 1 :]], heads).found


@settings(max_examples=50)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )
)
def test_canonical_json_is_the_same_however_a_value_was_made(value: object) -> None:
    made = canonical(value)
    assert made.isascii()
    assert canonical(json.loads(made)) == made
    assert canonical(dict(reversed(value.items())) if isinstance(value, dict) else value) == made


@settings(max_examples=50)
@given(ENTRIES, st.integers(1, 10**6))
def test_a_record_is_read_as_it_was_written(entry: Entry, number: int) -> None:
    sealed = seal(entry, "w", 5, Link(number, "0" * 64))
    record = decode(sealed.data)
    assert (record.entry, record.sequence, record.at, record.writer) == (entry, number + 1, 5, "w")

"""A batch's results as JSON lines."""

from collections.abc import AsyncIterator, Sequence

from msgspec import Raw

from app.batches.record import Batch, Result, encode
from app.batches.records import BatchRecords

_AT_ONCE = 500  # results in one command


async def lines(records: BatchRecords, batch: Batch) -> AsyncIterator[bytes]:
    """The results so far as JSON lines, in the order of the inputs, some hundreds at once."""
    for first in range(0, batch.inputs, _AT_ONCE):
        found = await records.results(batch.id, first, min(_AT_ONCE, batch.inputs - first))
        if batch.rest is not None and batch.next < first + len(found):
            found = await _with_rest(records, batch, first, found)
        if told := b"".join([line for line in found if line is not None]):
            yield told


async def _with_rest(
    records: BatchRecords, batch: Batch, first: int, found: Sequence[bytes | None]
) -> Sequence[bytes | None]:
    """With the results of inputs that were never begun, which are told and not kept."""
    assert batch.rest is not None  # noqa: S101 - for the type checker
    inputs = await records.inputs(batch.id, first, len(found))
    error = Raw(batch.rest.error)
    return [
        encode(Result(each.custom_id, error=error)) + b"\n" if line is None and place >= batch.next else line
        for place, (each, line) in enumerate(zip(inputs, found, strict=True), first)
    ]

"""Batches as callers see them."""

from datetime import datetime

from msgspec import Struct

from app.batches.record import OUTCOMES, Batch, BatchStatus, Way
from app.durable.moments import moment, moment_or_none
from app.messages import Usage

PATH = "/batches"


class BatchLinks(Struct, frozen=True, rename={"self_": "self"}):
    """Paths below the service's address."""

    self_: str
    results: str
    cancel: str


class BatchCounts(Struct, frozen=True):
    """Inputs, by what they came to so far."""

    total: int
    open: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


class BatchShown(Struct, frozen=True):
    """A batch, going on or over. Times are RFC 3339 in UTC."""

    batch_id: str
    status: BatchStatus
    """`ended`: every input has a result, whatever it is."""
    way: Way
    """`provider`: through its batch API, at its lower price; `queue`: each input is a run of low priority."""
    created_at: datetime
    start_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    counts: BatchCounts
    usage: Usage
    """Of the results so far."""
    cost_usd: float
    links: BatchLinks


class BatchesPage(Struct, frozen=True):
    batches: tuple[BatchShown, ...]
    """Newest first."""
    next: str | None
    """The `cursor` of the next page; null after the last page."""


class CancelledBatch(Struct, frozen=True):
    batch_id: str
    status: BatchStatus
    """`cancelling`: what is being answered is still awaited."""


def shown(batch: Batch) -> BatchShown:
    counts = [batch.counts.get(outcome, 0) for outcome in OUTCOMES]
    path = f"{PATH}/{batch.id}"
    return BatchShown(
        batch.id,
        batch.status,
        batch.way,
        moment(batch.created_at),
        moment_or_none(batch.start_at),
        moment_or_none(batch.started_at),
        moment_or_none(batch.ended_at),
        BatchCounts(batch.inputs, batch.inputs - sum(counts), *counts),
        batch.usage,
        batch.cost_usd,
        BatchLinks(path, f"{path}/results", f"{path}/cancel"),
    )

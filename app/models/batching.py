"""Batch APIs of providers: many requests at once, answered within a day at a lower price, behind one protocol."""

from collections.abc import AsyncIterator, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from app.errors import AppError, ModelError
from app.models.prices import Price, Rates
from app.models.protocol import Completion, ModelRequest

Outcome = Literal["succeeded", "failed", "cancelled", "expired"]

_NEVER_SENT = frozenset({"unreachable", "dns", "connect_timeout", "tls", "certificate"})
_NOT_TOLD = frozenset({408, 409, 425})
"""Of the refusals: those after which the provider may work on the request all the same."""


class Submitted(Struct, frozen=True):
    """A batch at its provider."""

    id: str
    requests: int
    created_at: float
    """Seconds since the epoch, by the provider's clock."""
    ended: bool


class Answered(Struct, frozen=True):
    """What became of one request. Only one that `succeeded` is paid for."""

    custom_id: str
    outcome: Outcome
    text: str = ""
    completion: Completion | None = None
    error: AppError | None = None


class BatchApi(Protocol):
    """One model's. Every method raises ModelError, as Model.generate does."""

    share: float
    """Of the model's price."""
    most_requests: int
    most_bytes: int

    def encode(self, custom_id: str, request: ModelRequest) -> bytes:
        """The request as `create` sends it. `custom_id`: 1 to 64 of [A-Za-z0-9_-], unique in its batch."""

    async def create(self, requests: Sequence[bytes]) -> Submitted:
        """Have these answered. `surely_refused` tells of an error whether the provider has no such batch."""

    async def retrieve(self, batch_id: str) -> Submitted: ...

    async def recent(self, since: float) -> Sequence[Submitted]:
        """Batches of this account that were created after that time."""

    def results(self, batch_id: str) -> AsyncIterator[Answered]:
        """Of a batch that has ended, in no order."""

    async def cancel(self, batch_id: str) -> None:
        """Ask for its end. What is answered by then is paid for."""


def surely_refused(error: AppError) -> bool:
    """True if the batch of a `create` that failed was not made; else it may have been, and is to be looked for."""
    if not isinstance(error, ModelError):
        return True  # too long, or filtered: the provider's own refusal
    status = error.provider_status
    if status is None:
        return error.reason in _NEVER_SENT
    return 400 <= status < 500 and status not in _NOT_TOLD


def has_no_api(error: AppError) -> bool:
    """True if the server of the model has no batch API."""
    return isinstance(error, ModelError) and error.provider_status in (404, 405, 501)


def share_of(price: Price, share: float) -> Price:
    """That part of a price, of all kinds of tokens."""
    return Price(
        tuple(
            [
                Rates(
                    tier.above,
                    tier.input * share,
                    tier.output * share,
                    tier.cache_read * share,
                    tier.cache_write * share,
                )
                for tier in price.tiers
            ]
        )
    )

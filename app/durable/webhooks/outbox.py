"""Deliveries in the store: who sends which next, and what came of it. All times are the store's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Literal, cast
from urllib.parse import urlsplit

from msgspec import Struct

from app.durable.keys import OUTBOX, delivery_key
from app.durable.moments import moment
from app.durable.record import Record
from app.durable.replies import MILLIS, fields_of
from app.durable.webhooks.attempt import Attempt, read_log
from app.durable.webhooks.message import Message, delivery_of, read_message
from app.durable.webhooks.scripts import AGAIN, CLAIM, MARK
from app.limits.checks import TAG
from app.state.store import Script, Store

State = Literal["pending", "delivered", "given_up"]

LEASE_SECONDS = 30.0
"""How long after its deliverer's death another one sends a delivery. Longer than an attempt takes."""


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that this process has for a lease."""

    run_id: str
    fence: int
    message: bytes
    ended_at: float
    """When the run ended, in seconds since the epoch."""
    attempts: int
    """Before this one."""
    since_first: float
    """Seconds."""
    log: bytes


@dataclass(frozen=True, slots=True)
class Taken:
    due: Sequence[Due]
    wait: float
    """Seconds until the next one is due; infinite: there is none."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What is being sent to a host, or for an owner, now."""

    count: int
    pause: float
    """Seconds after which others that have to wait are looked at again."""


def groups_of(message: Message) -> tuple[str, str]:
    """The names of those of which only some deliveries are sent at once; as groups.lua has them."""
    return f"host {message.host}", f"owner {message.owner}"


class Delivery(Struct, frozen=True):
    """A webhook as callers see it."""

    webhook_id: str
    url: str
    """Without its query."""
    secret: str
    state: State
    attempts: int
    next_attempt_at: datetime | None
    log: Sequence[Attempt]
    """The last 20 attempts, the latest last."""


class Outbox:
    """Every method raises StateUnavailable when the store does not answer."""

    def __init__(self, store: Store, *, kept_seconds: int, lease_seconds: float = LEASE_SECONDS) -> None:
        """`kept_seconds`: how long a delivery is kept after the last that happened to it."""
        self._store = store
        self._kept = kept_seconds
        self._lease = round(lease_seconds * MILLIS)
        self.lease_seconds = lease_seconds
        self._claim, self._mark, self._again = (Script(store, source) for source in (CLAIM, MARK, AGAIN))

    async def claim(self, most: int, of_host: int, of_owner: int, sending: Mapping[str, Sending]) -> Taken:
        """Take up to so many that are due; of a host and of an owner no more than so many at once, with those of
        `sending`, by the names of `groups_of`."""
        busy = [
            part
            for group, each in sending.items()
            for part in (group, each.count, round(each.pause * MILLIS))
        ]  # fmt: skip
        reply = await self._claim(
            (OUTBOX,), TAG, most, of_host, of_owner, self._lease, self._kept, *busy, read=fields_of
        )
        now, due = int(reply[b"now"]), reply[b"due"]
        found = [
            _due(run_id.decode(), fields_of(fields), now) for run_id, fields in zip(due[::2], due[1::2], strict=True)
        ]
        return Taken(found, int(reply[b"wait"]) / MILLIS if reply[b"wait"] else inf)

    async def mark(self, due: Due, state: State, log: bytes, pause: float = 0.0) -> bool:
        """Note an attempt; False: the lease was over, and another deliverer has it."""
        keys = (delivery_key(due.run_id), OUTBOX)
        pause_ms = round(pause * MILLIS)
        return bool(await self._mark(keys, due.run_id, due.fence, state, log, pause_ms, self._kept))

    async def again(self, record: Record) -> None:
        """Make the delivery of a run that is over due now, with all attempts before it, whatever came of it."""
        keys = (delivery_key(record.work.run_id), OUTBOX)
        ended = round(record.ended_at * MILLIS)
        await self._again(keys, record.work.run_id, delivery_of(record), ended, self._kept)

    async def read(self, run_id: str) -> Delivery | None:
        """None: the run has no webhook, is not over, or its delivery is not kept any more."""
        kept = self._store.call("HGETALL", delivery_key(run_id))
        score = self._store.call("ZSCORE", OUTBOX, run_id)
        fields, next_at = fields_of(await kept), await score
        if b"message" not in fields:
            return None
        message = read_message(fields[b"message"])
        return Delivery(
            webhook_id=run_id,
            url=urlsplit(message.url)._replace(query="", fragment="").geturl(),
            secret=message.secret,
            state=cast(State, fields[b"state"].decode()),
            attempts=int(fields[b"attempts"]),
            next_attempt_at=None if next_at is None else moment(float(next_at) / MILLIS),
            log=read_log(fields.get(b"log", b"")),
        )


def _due(run_id: str, fields: Mapping[bytes, bytes], now: int) -> Due:
    return Due(
        run_id,
        int(fields[b"fence"]),
        fields[b"message"],
        int(fields[b"ended_at"]) / MILLIS,
        int(fields[b"attempts"]),
        (now - int(fields[b"first_at"])) / MILLIS,
        fields.get(b"log", b""),
    )

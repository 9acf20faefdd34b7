"""The records of batches in the store: what changes one is one script, atomic, on the store's clock."""

import asyncio
from collections.abc import Mapping, Sequence
from math import ceil

import msgspec
from msgspec import Struct

from app.batches.changes import Written, read_written, words_of
from app.batches.keys import (
    BATCH,
    DUE,
    batch_key,
    inputs_key,
    keys_of,
    owner_key,
    portions_key,
    provider_key,
    results_key,
)
from app.batches.record import (
    OVER,
    Batch,
    BatchStatus,
    Change,
    Input,
    NewBatch,
    Portion,
    encode,
)
from app.batches.replies import batch_of, words_of_new
from app.batches.scripts import CANCEL, CREATE, RESERVE, TAKE, WRITE
from app.durable.ended import without_words
from app.durable.replies import fields_of
from app.errors import StateUnavailable, TooManyBatches
from app.limits.calls import Call
from app.limits.wire import Admission, read_admission
from app.settings import Settings
from app.state.store import Argument, Script, Store

LEASE_SECONDS = 30.0
"""How long after its worker's death another one may go on with a batch."""

_UPLOAD_SECONDS = 3_600  # that inputs are kept without their batch
_NOTED_SECONDS = 3 * 86_400
_AT_ONCE = 500  # inputs or results in one command

_inputs = msgspec.json.Decoder(Input).decode
_portion = msgspec.json.Decoder(Portion).decode


class BatchTaken(Exception):
    """Another worker has the batch, or it is over or lost: whoever sees this stops, and writes no more."""


class Taken(Struct, frozen=True):
    """A batch that this process has until its lease ends."""

    batch: Batch
    now: float
    """By the store's clock, when it was taken."""


class BatchRecords:
    """Built once a process. Every method raises StateUnavailable when the store does not answer."""

    def __init__(self, store: Store, settings: Settings, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.lease_seconds = lease_seconds
        self._store = store
        self._ttl = settings.run_ttl_seconds
        self._most = settings.batches_per_user
        self._lease_ms = ceil(lease_seconds * 1000)
        self._cancel = Script(store, CANCEL)
        self._create = Script(store, CREATE)
        self._reserve = Script(store, RESERVE)
        self._take = Script(store, TAKE)
        self._write = Script(store, WRITE)

    async def add_inputs(self, batch_id: str, inputs: Sequence[Input]) -> None:
        """Keep inputs for a batch that is to be created."""
        key = inputs_key(batch_id)
        for at in range(0, len(inputs), _AT_ONCE):
            self._store.call("RPUSH", key, *map(encode, inputs[at : at + _AT_ONCE]))
            await self._store.call("EXPIRE", key, _UPLOAD_SECONDS)

    async def drop_inputs(self, batch_id: str) -> None:
        await self._store.call("DEL", inputs_key(batch_id))

    async def create(self, new: NewBatch) -> None:
        """Keep a batch whose inputs were added. Raises TooManyBatches."""
        fields: list[Argument] = [word for pair in words_of_new(new).items() for word in pair]
        keys = (batch_key(new.id), inputs_key(new.id), owner_key(new.owner), DUE)
        made: bytes = await self._create(keys, new.id, BATCH, self._most, new.start_at, new.inputs, *fields)
        if made == b"full":
            raise TooManyBatches(self._most)
        if made == b"lost":
            raise StateUnavailable("The store has lost the batch's inputs. Send them again.", retry_after=1)

    async def read(self, owner: str, batch_id: str) -> Batch | None:
        """None: the owner has no such batch."""
        reply = await self._store.call("HGETALL", batch_key(batch_id))
        batch = batch_of(batch_id, reply) if reply else None
        return batch if batch is not None and batch.owner == owner else None

    async def list(self, owner: str, limit: int, cursor: str = "") -> tuple[Sequence[Batch], str]:
        """The owner's batches, newest first, and the cursor of those after them: "" if there are none."""
        most = f"({cursor}" if cursor else "+inf"
        command = ("ZREVRANGEBYSCORE", owner_key(owner), most, "-inf", "WITHSCORES", "LIMIT", 0, limit + 1)
        reply: Sequence[bytes] = await self._store.call(*command)
        ids = [name.decode() for name in reply[::2]][:limit]
        found = await asyncio.gather(*(self.read(owner, batch_id) for batch_id in ids))
        following = reply[2 * limit - 1].decode() if len(reply) > 2 * limit else ""
        return [batch for batch in found if batch is not None], following

    async def inputs(self, batch_id: str, first: int, count: int) -> Sequence[Input]:
        """As many of so many as there are from that place on."""
        reply = await self._store.call("LRANGE", inputs_key(batch_id), first, first + count - 1)
        return [_inputs(each) for each in reply]

    async def results(self, batch_id: str, first: int, count: int) -> Sequence[bytes | None]:
        """JSON of the results of these places, each with its line end; None: there is none."""
        reply: Sequence[bytes | None] = await self._store.call(
            "HMGET", results_key(batch_id), *range(first, first + count)
        )
        return reply

    async def portions(self, batch_id: str) -> tuple[Sequence[Portion], Mapping[int, Admission]]:
        """What was sent to the provider, and what is reserved, by number."""
        reply: Sequence[bytes] = await self._store.call("HGETALL", portions_key(batch_id))
        sent: list[Portion] = []
        held: dict[int, Admission] = {}
        for name, value in fields_of(reply).items():
            number, _, kind = name.decode().partition(":")
            if kind:
                held[int(number)] = read_admission(value)
            else:
                sent.append(_portion(value))
        return sorted(sent, key=lambda portion: portion.number), held

    async def take(self, most: int) -> Sequence[Taken]:
        """Batches whose next step is due, for a lease."""
        now, *taken = await self._take((DUE,), most, self._lease_ms, BATCH)
        return [Taken(batch_of(batch_id.decode(), fields), float(now)) for batch_id, fields in taken]

    async def reserve(self, batch: Batch, number: int, admission: Call) -> Admission:
        """Reserve for a portion, or find what was. Raises BatchTaken; a refusal is in what is returned."""
        keys, arguments = admission
        all_keys = (batch_key(batch.id), portions_key(batch.id), *keys)
        reply: bytes = await self._reserve(all_keys, batch.claims, f"{number}:held", *arguments)
        if reply.startswith(b'{"taken"'):
            raise BatchTaken(batch.id)
        return read_admission(reply)

    async def keep(self, batch: Batch, change: Change = Change()) -> Written:  # noqa: B008 - immutable
        """Write, and keep the batch for another lease. Raises BatchTaken, as all of these: nothing is written then."""
        return await self._change(batch, change, "keep", self._lease_ms)

    async def wait(self, batch: Batch, change: Change, seconds: float) -> Written:
        """Write, and let go of the batch until its next step."""
        return await self._change(batch, change, "wait", ceil(seconds * 1000))

    async def end(self, batch: Batch, change: Change, status: BatchStatus) -> Written:
        """Write the last change. What the batch's owner has written is not needed any more."""
        fields = {**change.fields, "status": status, "options": _encoded_options(batch)}
        if batch.rest is not None:
            await self._drop_messages(batch)
        return await self._change(batch, msgspec.structs.replace(change, fields=fields), "over", self._ttl)

    async def cancel(self, owner: str, batch_id: str, problem: bytes) -> tuple[BatchStatus, BatchStatus] | None:
        """The status before and after; None: the owner has no such batch."""
        reply = await self._cancel(keys_of(batch_id), batch_id, owner, self._ttl, problem)
        if reply is None:
            return None
        before, after = reply[0].decode(), reply[1].decode()
        if before != after and after in OVER and (batch := await self.read(owner, batch_id)) is not None:
            await self._store.call("HSET", batch_key(batch_id), "options", _encoded_options(batch))
            await self._drop_messages(batch)
        return before, after

    async def _drop_messages(self, batch: Batch) -> None:
        """Keep only the names of the inputs, which are told with the results of those that were never begun."""
        key = inputs_key(batch.id)
        for first in range(0, batch.inputs, _AT_ONCE):
            kept = await self.inputs(batch.id, first, _AT_ONCE)
            named = [encode(Input(each.custom_id, "")) for each in kept]
            await asyncio.gather(*(self._store.call("LSET", key, first + n, each) for n, each in enumerate(named)))

    async def note_at_provider(self, provider_id: str, batch_id: str, number: int) -> None:
        """Remember which portion a provider's batch is."""
        await self._store.call("SET", provider_key(provider_id), f"{batch_id}.{number}", "EX", _NOTED_SECONDS)

    async def noted_at_provider(self, provider_id: str) -> str:
        """`BATCH.NUMBER` of the portion that it is; empty if that is not known."""
        noted: bytes | None = await self._store.call("GET", provider_key(provider_id))
        return "" if noted is None else noted.decode()

    async def _change(self, batch: Batch, change: Change, following: str, delay: int) -> Written:
        keys = () if change.settlement is None else change.settlement[0]
        arguments = (batch.id, batch.claims, following, delay, *words_of(change))
        written: Written | None = await self._write((*keys_of(batch.id), *keys), *arguments, read=read_written)
        if written is None:
            raise BatchTaken(batch.id)
        return written


def _encoded_options(batch: Batch) -> bytes:
    return encode(without_words(batch.options))

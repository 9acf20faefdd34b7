"""Batches through the queue: each input is a run of low priority, a window of them at a time."""

import asyncio
from collections.abc import Mapping
from hashlib import sha256

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from app.agents.catalog import DEFAULT
from app.batches.held import Held
from app.batches.record import Change, Input, Result, Resulted, encode
from app.durable.engine import Engine
from app.durable.event_codec import decode_error
from app.durable.record import LATER, OVER, NewRun, Record, Work
from app.durable.records import Records
from app.durable.rendering import run_of
from app.errors import AppError, BudgetExceeded, NotFound, RunCancelled
from app.messages import NANOS
from app.models.batching import Outcome
from app.runs.events import Answer
from app.telemetry.logs import log

WINDOW = 32
"""Runs of a batch that wait or go on at once: what is cheap to look at, and leaves others their turn."""

_PAUSE = 0.5  # seconds between two looks at them

_GONE = NotFound("The run's record is gone. Send this again.")

_answer = msgspec.json.Decoder(Answer).decode
_OUTCOMES: Mapping[str, Outcome] = {"succeeded": "succeeded", "cancelled": "cancelled", "expired": "expired"}


class QueueWay:
    """Built once a process."""

    def __init__(self, records: Records, engine: Engine, *, pace: float = 1.0) -> None:
        """Waits take `pace` times as long as they should."""
        self._pause = _PAUSE * pace
        self._records = records
        self._engine = engine

    async def step(self, held: Held) -> float | None:
        """Do what is to be done now. Returns seconds until the next step; None when nothing is left."""
        open_ = dict(held.batch.open)
        await self._look(held, open_)
        if not held.begun and not held.batch.cancelling:
            await self._open(held, open_)
        return self._pause if open_ else None

    async def _look(self, held: Held, open_: dict[int, bool]) -> None:
        """Take in which runs are over, and begin those that a worker before this one noted and did not create."""
        places = sorted(open_)
        batch_id, owner = held.batch.id, held.batch.owner
        found = await asyncio.gather(*(self._records.read(owner, run_id(batch_id, place)) for place in places))
        inputs = await _inputs(held, places)
        results: list[Resulted] = []
        for place, record in zip(places, found, strict=True):
            if record is None and not open_[place] and not held.batch.cancelling:
                await self._create(held, place, inputs[place])
                open_[place] = True
            elif record is None:
                error = held.problem(RunCancelled() if not open_[place] else _GONE)
                outcome: Outcome = "failed" if open_[place] else "cancelled"
                results.append(Resulted(place, outcome, Result(inputs[place].custom_id, error=Raw(error))))
                del open_[place]
            elif record.status in OVER:
                results.append(_resulted(place, inputs[place], record))
                del open_[place]
            elif held.batch.cancelling:
                await self._records.cancel(owner, record.work.run_id)
        if results:
            await held.write(Change({"open": encode(open_)}, results=results))
        for record in found:
            if record is not None and record.error and not held.begun:
                await _end_over_budget(held, decode_error(record.error))

    async def _open(self, held: Held, open_: dict[int, bool]) -> None:
        """Note the next runs, then create them, then note that they are there."""
        batch = held.batch
        end = min(batch.inputs, batch.next + WINDOW - len(open_))
        places = range(batch.next, end)
        if not places:
            return
        open_ |= dict.fromkeys(places, False)
        await held.go_on_at(end, Change({"open": encode(open_)}))
        inputs = await _inputs(held, places)
        for place in places:
            await self._create(held, place, inputs[place])
            open_[place] = True
        await held.write(Change({"open": encode(open_)}))

    async def _create(self, held: Held, place: int, asked: Input) -> None:
        """Once: a run that is there is left as it is."""
        batch, new_id = held.batch, run_id(held.batch.id, place)
        work = Work(
            new_id,
            new_id,
            batch.caller,
            replace(batch.options, message=asked.message, remembered=False),
            batch.request_id,
            batch.traceparent,
            batch=batch.id,
        )
        agent = batch.options.agent or DEFAULT
        await self._records.create(NewRun(work, batch.owner, agent, priority=LATER))
        await self._engine.ring(new_id, priority=LATER)


async def _end_over_budget(held: Held, error: AppError) -> None:
    """Once a budget is used up, the inputs that are left would all come to the same."""
    if isinstance(error, BudgetExceeded):
        log.warning("batch.over_budget", batch_id=held.batch.id, inputs=held.batch.inputs - held.batch.next)
        await held.end_rest("failed", error)


async def _inputs(held: Held, places: range | list[int]) -> Mapping[int, Input]:
    """By their places, which are few and next to each other."""
    if not places:
        return {}
    first = min(places)
    found = await held.records.inputs(held.batch.id, first, max(places) + 1 - first)
    return {place: found[place - first] for place in places}


def _resulted(place: int, asked: Input, record: Record) -> Resulted:
    if record.status == "succeeded":
        answer = _answer(record.answer)
        result = Result(
            asked.custom_id,
            record.work.run_id,
            answer.answer,
            answer.finish_reason,
            answer.model,
            None,
            answer.usage,
            answer.cost_usd,
        )
        return Resulted(place, "succeeded", result, answer.model, round(answer.cost_usd * NANOS))
    problem = run_of(record).error
    result = Result(asked.custom_id, record.work.run_id, error=Raw(encode(problem)))
    return Resulted(place, _OUTCOMES.get(record.status, "failed"), result)


def run_id(batch_id: str, place: int) -> str:
    """The same whenever it is asked for, and nobody's who does not know the batch."""
    digits = sha256(f"{batch_id}:{place}".encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-a{digits[17:20]}-{digits[20:32]}"

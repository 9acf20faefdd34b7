"""Runs to keep, and processes that work on them."""

from functools import lru_cache
from typing import Any

from app.durable.keys import LEASES
from app.durable.record import Caller, Claim, Ending, NewRun, Work, Write
from app.durable.records import Records
from app.ids import new_id
from app.runs.request import RunRequest
from app.settings import Settings, load
from app.state.store import Store

OWNER = "ada"
CALLER = Caller("ada", None, "default", ("runs",), "", "", authenticated=True)


@lru_cache
def brief(*, run_lease_seconds: float = 60, run_queue_seconds: float = 86_400, **settings: Any) -> Settings:
    """Settings whose times may be shorter than a second, so that no test waits for long."""
    times = {"run_lease_seconds": run_lease_seconds, "run_queue_seconds": run_queue_seconds}
    return load(None, **settings).model_copy(update=times)


def process(store: Store, **settings: Any) -> Records:
    return Records(store, brief(**settings))


def new_run(
    run_id: str = "", *, session: str = "", batch: str = "", message: str = "hi", owner: str = OWNER, **more: Any
) -> NewRun:
    work = Work(run_id or new_id(), session or new_id(), CALLER, RunRequest(message), "req", "00-trace", batch=batch)
    return NewRun(work, owner, "default", session=session, **more)


async def queued(records: Records, run_id: str = "", **more: Any) -> str:
    """A run that waits for a worker."""
    return (await records.create(new_run(run_id, **more))).run_id


async def begun(records: Records, run_id: str = "", **more: Any) -> Claim:
    """A run that a worker has."""
    claimed = await records.claim(await queued(records, run_id, **more))
    assert claimed is not None
    return claimed.claim


def event(number: int) -> bytes:
    return b'token {"text":"%d"}' % number


def events(first: int, count: int = 1) -> dict[str, Any]:
    return {"first_event": first, "events": tuple(event(number) for number in range(first, first + count))}


def steps(first: int, count: int = 1) -> dict[str, Any]:
    return {"first_step": first, "steps": tuple(b'{"n":%d}' % number for number in range(first, first + count))}


async def end(records: Records, claim: Claim, first_event: int = 1, **more: Any) -> None:
    ending = Ending("succeeded", answer=b'{"answer":"42"}', **more)
    await records.write(Write(claim, first_event=first_event, events=(b"run.finished {}",), ending=ending))


async def lapse(store: Store, run_id: str) -> None:
    """Let the lease of its worker have run out."""
    seconds, micros = await store.call("TIME")
    await store.call("ZADD", LEASES, int(seconds) * 1000 + int(micros) // 1000 - 1, run_id)

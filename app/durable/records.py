"""The records of runs in the store: each method is one script, atomic, on the store's clock."""

import builtins
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any

import hiredis

from app.audit.audit import NO_AUDIT, Audit
from app.durable import keys, scripts
from app.durable.approvals.closing import tell_closed
from app.durable.bounds import bounds_of
from app.durable.creating import call_of
from app.durable.ended import ended
from app.durable.endings import Verdict, judged
from app.durable.event_codec import encode_error, encode_event
from app.durable.record import (
    OVER,
    Claim,
    Claimed,
    Created,
    Ending,
    NewRun,
    News,
    Numbered,
    Page,
    Record,
    RunStatus,
    RunTaken,
    Unapproved,
    Uncounted,
    Write,
    Written,
)
from app.durable.replies import MILLIS, cursor_of, fields_of, numbered, record_of, status_of, texts
from app.durable.writing import arguments_of
from app.errors import AppError, EventsGone, KeyReused, NotFound, SessionBusy, StateUnavailable, TooManyRuns
from app.limits.wire import Admission, read_admission, read_settlement
from app.runs.events import RunFailed
from app.runs.outcome import outcome_of
from app.runs.steps import AskedCall
from app.settings import Settings
from app.state.store import Argument, Script, Store
from app.telemetry import metrics
from app.telemetry.logs import log

_CANCELLING = 2  # as hand_back.lua says it


class Records:
    """Built once a process. Every method raises StateUnavailable when the store does not answer."""

    def __init__(self, store: Store, settings: Settings, audit: Audit = NO_AUDIT) -> None:
        self._store, self._audit = store, audit
        self._due: Callable[[str], object] | None = None
        self._runs_per_user = settings.runs_per_user
        self.safe_seconds = settings.run_lease_seconds / 2
        bounds = bounds_of(settings)
        self._create = Script(store, bounds + scripts.CREATE)
        self._create_admitted = Script(store, bounds + scripts.CREATE_ADMITTED)
        self._list = Script(store, bounds + scripts.LIST)
        self._claim = Script(store, bounds + scripts.CLAIM)
        self._renew = Script(store, bounds + scripts.RENEW)
        self._write = Script(store, bounds + scripts.WRITE)
        self._write_settled = Script(store, bounds + scripts.WRITE_SETTLED)
        self._hand_back = Script(store, bounds + scripts.HAND_BACK)
        self._cancel = Script(store, bounds + scripts.CANCEL)
        self._find_due = Script(store, bounds + scripts.DUE)

    def on_due(self, ring: Callable[[str], object]) -> None:
        """Call `ring` with a run whose turn in its session has come, as the one before it is over."""
        self._due = ring

    async def create(self, new: NewRun) -> Created:
        """Keep a run, or find the one that its Idempotency-Key made within 24 h. With `on_busy` `interrupt` the
        session's runs are asked to end, and this one is next. Raises SessionBusy, KeyReused, TooManyRuns, and
        Uncounted."""
        return await self.creating(new)

    def creating(self, new: NewRun) -> Coroutine[Any, Any, Created]:
        """As `create`; the run leaves when this is called."""
        limited = new.counting is not None or new.admitting is not None
        script = self._create_admitted if limited else self._create
        run_keys, arguments = call_of(new)
        return self._created(script(run_keys, *arguments, read=fields_of))

    async def _created(self, asked: Awaitable[Any]) -> Created:
        reply = await asked
        match reply.get(b"refused"):
            case b"rate":
                raise Uncounted(read_admission(reply[b"counted"]))
            case b"key":
                raise KeyReused
            case b"busy":
                raise SessionBusy(reply[b"run"].decode(), waits=reply[b"status"] == b"waiting")
            case b"full":
                raise TooManyRuns(self._runs_per_user)
        await self._end_idle(reply[b"idle"])
        run_id, claim = reply[b"run"].decode(), reply[b"claim"]
        return Created(
            run_id,
            replayed=reply[b"replayed"] == b"1",
            claim=Claim(run_id, int(claim)) if claim else None,
            status=status_of(reply[b"status"]),
            created_at=int(reply[b"created"]) / MILLIS,
            priority=int(reply[b"priority"]),
            counted=_admission(reply[b"counted"]),
            admitted=_admission(reply[b"admitted"]),
        )

    async def read(self, owner: str, run_id: str) -> Record | None:
        """None: no such run of this owner's."""
        fields = fields_of(await self._store.call("HGETALL", keys.run_key(run_id)))
        return record_of(fields) if fields.get(b"owner") == owner.encode() else None

    async def list(
        self, owner: str, *, session: str = "", status: RunStatus | None = None, cursor: str = "", limit: int = 20
    ) -> Page:
        """The owner's runs, newest first; those of batches are not among them. A page may have fewer than `limit`
        though another one follows it. Raises InvalidRequest for a cursor that is no page's."""
        after = cursor_of(cursor)
        reply = await self._list((keys.owner_key(owner),), session, status or "", *after, limit, read=fields_of)
        runs = tuple([record_of(fields_of(fields)) for fields in reply[b"runs"]])
        return Page(runs, ".".join(texts(reply[b"next"])))

    async def claim(self, run_id: str) -> Claimed | None:
        """Take a run that is due and that nobody has. None: it is over, is not due, has a worker that lives, or waits
        for another run of its session. One whose lease has run out counts as a crash; after `run_crashes` of them it
        is failed instead (`RunCrashed`), with its last event and its delivery. So are those ended that are to be
        cancelled, or have waited for too long."""
        claimed, verdict = await self._take(run_id)
        if claimed is not None and verdict is not None:
            await self._end(claimed, verdict)
            return None
        return claimed

    async def _take(self, run_id: str, *, only_to_end: bool = False) -> tuple[Claimed | None, Verdict | None]:
        """With a verdict, the run is taken to be ended so."""
        safe_until = time.monotonic() + self.safe_seconds
        reply = await self._claim((keys.run_key(run_id),), run_id, _flag(only_to_end), read=fields_of)
        if not reply:
            return None, None
        record = record_of(fields_of(reply[b"record"]))
        claimed = Claimed(Claim(run_id, record.claims), record, tuple(reply[b"steps"]), safe_until)
        return claimed, reply[b"verdict"].decode() or None

    async def _end_idle(self, run_ids: Sequence[bytes]) -> None:
        """End those of these runs of which no worker has to make an end."""
        for run_id in run_ids:
            claimed, verdict = await self._take(run_id.decode(), only_to_end=True)
            if claimed is not None and verdict is not None:
                await self._end(claimed, verdict)

    async def _end(self, claimed: Claimed, verdict: Verdict) -> None:
        """End a run that was taken for that."""
        record = claimed.record
        found = judged(verdict, record.crashes)
        try:
            await self.end_unworked(claimed, found.status, found.error)
        except RunTaken:  # another process ends it
            return
        if verdict == "crashed":
            metrics.DEAD_RUNS.labels(record.agent).inc()
            log.error("run.dead", run_id=claimed.claim.run_id, agent=record.agent, crashes=record.crashes)

    async def end_unworked(self, claimed: Claimed, status: RunStatus, error: AppError) -> Numbered:
        """End a claimed run that is not worked on. Returns its last event, which tells the error. Raises RunTaken."""
        record = claimed.record
        number, last = record.last_event + 1, encode_event(RunFailed(error))
        ending = ended(record, Ending(status, error=encode_error(error)), number)
        await self.write(Write(claimed.claim, first_event=number, events=(last,), ending=ending))
        metrics.RUNS.labels(record.agent, outcome_of(error, None)).inc()
        return number, last

    async def renew(self, claims: Sequence[Claim]) -> Sequence[tuple[Claim, bool]]:
        """Keep these for another lease. Returns those that still hold, each with whether it is to be cancelled."""
        if not claims:
            return []
        arguments: builtins.list[Argument] = []
        for claim in claims:
            arguments += (claim.run_id, claim.number)
        reply = await self._renew(tuple([keys.run_key(claim.run_id) for claim in claims]), *arguments)
        return [(claim, word == b"cancelling") for claim, word in zip(claims, reply, strict=True) if word != b"gone"]

    async def write(self, write: Write) -> Written:
        """Raises RunTaken for a claim that does not hold any more, and Unapproved: nothing of it is written then."""
        claim, words = write.claim, arguments_of(write)
        key = keys.run_key(claim.run_id)
        if write.settlement is None:
            reply = await self._write((key,), *words, read=fields_of)
        else:
            settled, arguments = write.settlement
            reply = await self._write_settled((key, *settled), *words, *arguments, read=fields_of)
        if (taken := reply.get(b"taken")) is not None:
            raise RunTaken(claim.run_id, lost=taken == b"lost")
        if (unapproved := reply.get(b"unapproved")) is not None:
            raise Unapproved(texts(unapproved))
        if closed := reply[b"closed"]:
            tell_closed(claim.run_id, closed, self._audit)
        if (following := reply[b"next"].decode()) and self._due is not None:
            self._due(following)
        cancelling = reply[b"cancelling"] == b"1"
        if cancelling and write.ending is not None and write.ending.status == "waiting":
            await self._end_idle([claim.run_id.encode()])
        return Written(
            None if write.settlement is None else read_settlement(reply[b"settlement"]),
            cancelling=cancelling,
            next=following,
        )

    async def hand_back(self, claim: Claim, *, after_seconds: float = 0.0) -> None:
        """Let go of a run that is not over, without counting a crash: it is due again then. One that is to be cancelled
        is, since its worker may have heard of that too late. Does nothing for a claim that does not hold any more."""
        key, after = keys.run_key(claim.run_id), round(after_seconds * MILLIS)
        if await self._hand_back((key,), claim.run_id, claim.number, after) == _CANCELLING:
            await self._end_idle([claim.run_id.encode()])

    async def cancel(self, owner: str, run_id: str) -> RunStatus | None:
        """Returns the status before; None: no such run. A run that nobody has is cancelled at once, with its last
        event; one that is worked on is told (`cancelling`), at once over following.py's channel; one that was over
        stays."""
        reply = await self._cancel((keys.run_key(run_id),), run_id, owner, read=fields_of)
        if not reply:
            return None
        if reply[b"idle"]:
            await self._end_idle([run_id.encode()])
        return status_of(reply[b"status"])

    async def events(self, owner: str, run_id: str, after: int, limit: int = 1_000) -> Sequence[Numbered]:
        """Events after this number, oldest first; a finished run's last one ends them. Raises NotFound, and EventsGone
        where events after it were trimmed, or the number is larger than the last one's."""
        return (await self.news(owner, run_id, after, limit)).events

    async def news(self, owner: str, run_id: str, after: int, limit: int = 1_000) -> News:
        """As `events`, with whether they are all."""
        stream = keys.events_key(run_id)
        asked = self._store.call("HMGET", keys.run_key(run_id), "owner", "last_event", "status")
        entries = self._store.call("XRANGE", stream, after + 1, "+", "COUNT", limit)
        whose, last, status = await asked
        found = numbered(await entries)
        if whose != owner.encode():
            raise NotFound(f"There is no run {run_id!r} of yours.")
        if after > int(last) or (found and found[0][0] > after + 1):
            oldest = numbered(await self._store.call("XRANGE", stream, "-", "+", "COUNT", 1))
            raise EventsGone(str(after), oldest[0][0] if oldest else 1)
        new = [event for event in found if event[0] > after][:limit]
        more = (new[-1][0] if new else after) < int(last)
        return News(tuple(new), more, status_of(status) in OVER and not more)

    async def last_events(self, run_ids: Iterable[str]) -> Sequence[int | None]:
        """The numbers of these runs' last events; None: no such run."""
        asked = [self._store.call("HGET", keys.run_key(run_id), "last_event") for run_id in run_ids]
        return [None if last is None else int(last) for last in [await each for each in asked]]

    async def due(self, limit: int = 100, *, lost: bool = False) -> Sequence[str]:
        """Runs that are not over, whose time has come and that no living worker has, for the reconciler. First come
        those that a worker had, which died or has handed them back, and with `lost` they alone. Those that waited
        longer than RUN_QUEUE_SECONDS end as `expired` here."""
        reply = await self._find_due((), limit, "1" if lost else "", read=fields_of)
        await self._end_idle(reply[b"ending"])
        return texts(reply[b"due"])

    async def now(self) -> float:
        """By the store's clock, in seconds since the epoch."""
        seconds, micros = await self._store.call("TIME")
        return int(seconds) + int(micros) / 1_000_000

    async def decided(self, calls: Sequence[AskedCall]) -> Sequence[tuple[bytes, str, str]]:
        """What has become of each approval: its status (empty: there is none), who has decided, and why."""
        asked = [
            self._store.call("HMGET", keys.approval_key(one.approval_id), "status", "by", "comment") for one in calls
        ]
        return [
            (status or b"", (by or b"").decode(), (why or b"").decode())
            for status, by, why in [await each for each in asked]
        ]

    async def pending_approvals(self) -> int:
        """How many calls wait for a person's decision."""
        return int(await self._store.call("ZCARD", keys.PENDING))

    async def queue_age(self) -> float:
        """For how many seconds the oldest run that is due has waited for a worker; 0: none waits."""
        clock = self._store.call("TIME")
        sets = (keys.LEASES, keys.DUE, keys.DUE_LATER)
        oldest = [self._store.call("ZRANGE", name, 0, 0, "WITHSCORES") for name in sets]
        seconds, micros = await clock
        now = int(seconds) + int(micros) / 1_000_000
        ages: builtins.list[float] = [now - float(found[1]) / MILLIS for each in oldest if (found := await each)]
        return max([0.0, *ages])

    async def volatile(self) -> bool:
        """Whether a restart of the store loses runs: it has no append-only file, or does not say that it has one."""
        try:
            told: bytes = await self._store.call("INFO", "persistence")
        except StateUnavailable as error:
            if isinstance(error.__cause__, hiredis.ReplyError):  # the server forbids it, or does not know it
                return True
            raise
        return b"aof_enabled:1" not in told


def _flag(value: bool) -> str:
    return "1" if value else ""


def _admission(reply: bytes) -> Admission | None:
    return read_admission(reply) if reply else None

"""The journal of a run that is kept: what is to be written waits here, and goes to the store in one script at a time.

Events are written at once where nothing was a moment ago, else together. A write whose reply is lost is sent again:
what is numbered counts once.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, Protocol

import msgspec
from msgspec.structs import replace

from app.durable.approvals.asking import asked_in, consumed_in
from app.durable.ended import ended
from app.durable.event_codec import encode_error, encode_event
from app.durable.record import Claimed, Ending, RunTaken, Unapproved, Write, Written
from app.durable.records import Records
from app.errors import RunCancelled, ShuttingDown, StateUnavailable
from app.limits.allowance import Growth
from app.runs.context import RunContext
from app.runs.events import Event, Reasoning, RunFailed, RunFinished, Token
from app.runs.handle import RunHandle
from app.runs.journal import Earlier, NotApproved
from app.runs.resuming import carried_of
from app.telemetry.logs import log

TOGETHER_SECONDS = 0.01
"""How long after a write events are collected for the next."""
TOGETHER = 256
"""So many are not collected any further."""
PATIENCE_SECONDS = 60.0
"""How long a run waits for a store that is away."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0
_LAST_WORDS_SECONDS = 2.0
_LAST_PATIENCE_SECONDS = 5.0


class Readers(Protocol):
    """Those of this process: they need not ask the store for what is worked on here."""

    def works_on(self, run_id: str) -> None:
        """This process works on the run, and tells all that it writes."""

    def leaves(self, run_id: str) -> None:
        """It does not any more."""

    def tell(self, run_id: str, first: int, events: Sequence[bytes]) -> None:
        """Events that were written, encoded, from this number on."""


_encode = msgspec.json.Encoder().encode


_WAITING = Ending("waiting")
"""Of a run that is not over, and left until a person has decided."""


class _Left(Exception):
    """The run is not this process's any more."""


class RunJournal:
    """Of a run that this process has claimed."""

    def __init__(
        self,
        run: RunContext,
        handle: RunHandle,
        claimed: Claimed,
        earlier: Earlier | None,
        seconds: float,
        records: Records,
        readers: Readers,
    ) -> None:
        plain = claimed.record.work.plain
        self.earlier = earlier
        self.seconds = run.agent.timeout_seconds if plain else seconds
        self.waits = not plain or earlier is not None
        self.detached = False
        self.last = claimed.record.last_event
        """The number of the last event."""
        self._run, self._handle, self._claimed = run, handle, claimed
        self._records, self._readers = records, readers
        self._steps = self._marked_steps = claimed.record.steps
        self._events: list[bytes] = []
        self._told = self._marked_event = self.last
        self._paid = 0
        self._carried = b""
        self._turn = asyncio.Lock()  # one write after the other
        self._timer: asyncio.Handle | None = None
        self._speaking = not run.request.stream  # nobody waits for the text of a run that does not stream
        self._loop = asyncio.get_running_loop()
        self._written_at = self._loop.time()  # the run's first events wait for what comes with them
        self.leaving = self._handing_back = False
        self._ending: Ending | None = None  # that is being written
        self._waits_until = 0.0
        self.due_again: float | None = None
        """Handed back: after so many seconds another worker may have it."""
        self.rung = False
        """A bell was heard for it meanwhile: if it waits for people, all is decided already."""
        self._flushes: set[asyncio.Task[None]] = set()

    @property
    def paused(self) -> bool:
        """It was left until people have decided."""
        return self._ending is _WAITING

    @property
    def run_id(self) -> str:
        return self._claimed.claim.run_id

    def emit(self, event: Event) -> None:
        self.last += 1
        self._events.append(encode_event(event))
        if not self._speaking and isinstance(event, (Token, Reasoning)):
            self._speak()
        if self._timer is None:
            self._schedule()
        elif len(self._events) == TOGETHER and not self._turn.locked():
            self._timer.cancel()
            self._timer = self._loop.call_soon(self._begin_flush)

    def _speak(self) -> None:
        """The first text of a model call waits for no other: its reader does."""
        self._speaking, self._written_at = True, 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def mark(self) -> None:
        self._speaking = False
        self._marked_steps, self._marked_event = len(self._run.steps), self.last
        self._paid = len(self._run.reservation.steps)
        if self._timer is None:
            self._schedule()

    async def checkpoint(self, growth: Growth | None = None) -> None:
        self.mark()
        try:
            async with self._turn:
                if growth is not None or self._marked_steps > self._steps:
                    await self._write(growth)
        except _Left:
            await self._never()
        except Unapproved as error:
            raise NotApproved(error.approvals) from None
        if self.leaving and not (self._handle.committed or self._in_tools()):
            self.cut()
            await self._never()

    async def hold(self) -> None:
        """Without a round trip, as long as nobody can have taken the run and its begin is written: who goes on with it
        then comes to the same place in its session."""
        safe = self._steps and not self._run.state.approvals and time.monotonic() < self._claimed.safe_until
        if not safe or self.detached:
            await self.checkpoint()

    async def end(self, event: RunFinished | RunFailed) -> None:
        await self._leave_with(ended(self._claimed.record, ending_of(event), self.last + 1), event)

    async def now(self) -> float:
        return await self._records.now()

    async def pause(self, until: float) -> None:
        self._waits_until = until
        await self._leave_with(_WAITING)

    async def _leave_with(self, ending: Ending, *events: Event) -> None:
        self._handle.commit()
        self._ending = ending
        for event in events:
            self.emit(event)
        self.mark()
        try:
            async with self._turn:
                await self._write(None, ending)
        except _Left:
            raise asyncio.CancelledError from None

    async def hand_back(self, after_seconds: float = 0.0) -> None:
        """What is not written is, if that takes no more than a moment: what a call that was cut has cost."""
        if self.detached:
            return
        self._handle.commit()
        self._handing_back = True
        if self._ending is not None:
            await self._end_after_all(self._ending)
            return
        cut_from = self._marked_event + 1 if self.last > self._marked_event else 0
        self._marked_steps, self._paid = len(self._run.steps), len(self._run.reservation.steps)
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS), self._turn:
                if self._marked_steps > self._steps or self._events:
                    await self._write(None, None, carried_of(self._run, handed_back=True, cut_from=cut_from))
                await self._records.hand_back(self._claimed.claim, after_seconds=after_seconds)
        except (_Left, Unapproved, TimeoutError, StateUnavailable) as error:
            log.warning("run.not_handed_back", run_id=self.run_id, error=type(error).__name__)
        else:
            self.due_again = after_seconds
            log.info("run.handed_back", run_id=self.run_id, after_seconds=after_seconds)
        self._let_go()

    async def _end_after_all(self, ending: Ending) -> None:
        """The process ends while the run's end is on its way: its last event may not be written without it."""
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS), self._turn:
                await self._write(None, ending)
        except (_Left, Unapproved, TimeoutError, StateUnavailable) as error:
            log.warning("run.not_handed_back", run_id=self.run_id, error=type(error).__name__)
        self._let_go()

    def leave(self) -> None:
        """Hand the run back after its current step."""
        self.leaving = True

    def _in_tools(self) -> bool:
        """Whether a tool is under way that does more than read: cut now, nobody would know what it has done."""
        return bool(self._run.state.begun)

    def cut(self) -> None:
        """Hand the run back now."""
        self._handle.fail(ShuttingDown.now())

    def lose(self) -> None:
        """The claim does not hold any more. One whose end is being written learns by that whether it did."""
        if not (self.detached or self._ending):
            self._let_go()
            self._handle.drop()

    def cancel(self) -> None:
        self._handle.fail(RunCancelled())

    def _schedule(self) -> None:
        loop, due = self._loop, self._written_at + TOGETHER_SECONDS
        waits = loop.time() < due and len(self._events) < TOGETHER
        self._timer = loop.call_at(due, self._begin_flush) if waits else loop.call_soon(self._begin_flush)

    def _begin_flush(self) -> None:
        self._timer = None
        if self._turn.locked() or self.detached or self._ending is not None:
            return  # whoever writes looks again
        if self._events or self._marked_steps > self._steps:
            task = asyncio.create_task(self._flush())
            self._flushes.add(task)
            task.add_done_callback(self._flushes.discard)

    async def _flush(self) -> None:
        with suppress(_Left, Unapproved):  # whoever waits for it is told
            async with self._turn:
                if self._ending is None and (self._events or self._marked_steps > self._steps):
                    await self._write(None)

    async def _write(self, growth: Growth | None, ending: Ending | None = None, carried: object = None) -> None:
        """What is marked and, where no step waits, the events after it."""
        run, limiter = self._run, self._run.services.limiter
        steps, paid = self._marked_steps, self._paid
        over = ending is not None and ending is not _WAITING
        has_steps = steps > self._steps and not over  # none are left of a run that is over
        count = max(0, self._marked_event - self._told) if has_steps else len(self._events)
        events = tuple(self._events[:count])
        if ending is _WAITING:
            carried = replace(carried_of(run, paused=True), day="")  # what it holds is given back
        carried_now = _encode(carried or carried_of(run)) if has_steps or carried else b""
        new = run.steps[self._steps : steps] if has_steps else ()
        write = Write(
            self._claimed.claim,
            first_step=self._steps + 1,
            steps=tuple(map(_encode, new)),
            first_event=self._told + 1,
            events=events,
            carried=b"" if carried_now == self._carried else carried_now,
            settlement=limiter.settlement(run.reservation, growth, paid, over=ending is not None),
            asked=asked_in(new, run, self._claimed.record) if run.state.approvals else (),
            consumed=consumed_in(new, run) if run.state.approvals else (),
            ending=ending,
            waits_until=self._waits_until,
        )
        self._written_at = self._loop.time()
        written = await self._send(write)
        del self._events[:count]
        self._steps, self._told, self._carried = steps, self._told + count, carried_now or self._carried
        if write.settlement is not None or ending is not None:
            limiter.settled(run.reservation, written.settlement, growth, paid)
        if events:
            self._readers.tell(self.run_id, write.first_event, events)
        if written.cancelling and ending is None:
            self.cancel()
        if self._timer is None and ending is None and (self._events or self._marked_steps > self._steps):
            self._schedule()

    async def _send(self, write: Write) -> Written:
        until, pause = 0.0, _FIRST_PAUSE_SECONDS
        while not self.detached:
            try:
                return await self._records.write(write)
            except RunTaken as error:
                log.warning("run.taken", run_id=self.run_id, lost=error.lost)
                break
            except StateUnavailable as error:
                until = until or self._patient_until()
                if self._loop.time() >= until or self._handing_back:
                    log.warning("run.abandoned", run_id=self.run_id, error=repr(error.__cause__))
                    break
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
        self._ending = None
        self.lose()
        raise _Left

    def _patient_until(self) -> float:
        """The run's deadline, if that is not too far; its end has a moment more."""
        now = self._loop.time()
        return min(now + PATIENCE_SECONDS, max(self._run.ends_at, now + _LAST_PATIENCE_SECONDS))

    async def _never(self) -> NoReturn:
        """The run is being cancelled: that reaches whoever is in it."""
        if self._handle.committed:
            raise asyncio.CancelledError
        await asyncio.Event().wait()
        raise AssertionError

    def _let_go(self) -> None:
        self.detached = True
        if self._timer is not None:
            self._timer.cancel()
        self._run.services.limiter.leave(self._run.reservation)


def ending_of(event: RunFinished | RunFailed) -> Ending:
    """What the record says of a run with this last event."""
    if isinstance(event, RunFinished):
        return Ending("succeeded", answer=_encode(event.answer))
    return Ending("cancelled" if isinstance(event.error, RunCancelled) else "failed", error=encode_error(event.error))

"""Delivers what is due in the outbox. Any number of processes may do so at once."""

import asyncio
from time import monotonic

from msgspec import MsgspecError

from app.durable.webhooks.attempt import Attempt, Result, now, with_attempt
from app.durable.webhooks.backoff import Backoff
from app.durable.webhooks.message import Message, read_message
from app.durable.webhooks.outbox import Due, Outbox, Sending, State, groups_of
from app.durable.webhooks.sending import Sender
from app.durable.webhooks.telling import tell_of
from app.errors import StateUnavailable
from app.telemetry.logs import log

MOST = 64
"""Deliveries that a process sends at once."""

MOST_OF_HOST = 8
"""Those to one host: one that does not answer holds up no other."""

MOST_OF_OWNER = 16
"""Those of one owner: one with many such hosts holds up nobody else's."""

LOOK_SECONDS = 1.0
"""Longest time until a new delivery is seen."""

LEAVE_SECONDS = 1.0
"""How long a process that leaves waits for answers."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.02, 30.0
"""For a delivery that waits for others of its host or owner."""
_NONE = Sending(0, _SHORTEST_PAUSE)

_AWAY_SECONDS = 2.0


class Deliverer:
    def __init__(self, outbox: Outbox, sender: Sender, backoff: Backoff, look_seconds: float = LOOK_SECONDS) -> None:
        self._outbox = outbox
        self._sender = sender
        self._backoff = backoff
        self._look_seconds = look_seconds
        self._sending: dict[str, Sending] = {}
        self._free = MOST
        self._tasks: set[asyncio.Task[None]] = set()
        self._freed = asyncio.Event()

    async def run(self) -> None:
        """Deliver until cancelled. What is being sent then has a moment to be answered; else it is sent again, by
        whoever has it after its lease."""
        async with asyncio.TaskGroup() as tasks:
            try:
                await self._take_what_is_due(tasks)
            finally:
                if self._tasks:
                    await asyncio.wait(self._tasks, timeout=LEAVE_SECONDS)

    async def _take_what_is_due(self, tasks: asyncio.TaskGroup) -> None:
        away = False
        while True:
            try:
                pause, away = await self._take(tasks), False
            except StateUnavailable as error:
                if not away:
                    log.warning("webhooks.away", error=repr(error.__cause__))
                pause, away = _AWAY_SECONDS, True
            await self._wait(pause)

    async def _take(self, tasks: asyncio.TaskGroup) -> float:
        """Begin what is due. Returns after how many seconds there may be more."""
        self._freed.clear()
        if not self._free:
            return self._look_seconds
        taken = await self._outbox.claim(self._free, MOST_OF_HOST, MOST_OF_OWNER, self._sending)
        for due in taken.due:
            self._begin(tasks, due)
        return min(max(taken.wait, _SHORTEST_PAUSE), self._look_seconds)

    async def _wait(self, seconds: float) -> None:
        """Until there may be more, or sooner when something that was being sent is done."""
        try:
            async with asyncio.timeout(seconds):
                await self._freed.wait()
        except TimeoutError:
            return

    def _begin(self, tasks: asyncio.TaskGroup, due: Due) -> None:
        try:
            message = read_message(due.message)
        except MsgspecError as error:  # another release's, which may read it
            log.error("webhook.unreadable", run_id=due.run_id, error=type(error).__name__)  # noqa: TRY400 - all there is
            return
        for group in groups_of(message):
            before = self._sending.get(group, _NONE)
            self._sending[group] = Sending(before.count + 1, before.pause)
        self._free -= 1
        task = tasks.create_task(self._deliver(due, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, due: Due, message: Message) -> None:
        began = monotonic()
        try:
            result = await self._sender.send(due.run_id, message, due.ended_at)
        except Exception:
            log.exception("webhook.crashed", run_id=due.run_id, host=message.host)
            result = Result(Attempt(now(), None, "crashed", 0.0))
        finally:
            self._done(message, monotonic() - began)
        state, pause = self._judge(due, result)
        tell_of(due, message, result, state, pause)
        await self._mark(due, state, with_attempt(due.log, result.attempt), pause, began)

    def _done(self, message: Message, took: float) -> None:
        pause = min(max(2 * took, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        for group in groups_of(message):
            count = self._sending.pop(group).count - 1
            if count:
                self._sending[group] = Sending(count, pause)
        self._free += 1
        self._freed.set()

    def _judge(self, due: Due, result: Result) -> tuple[State, float]:
        """What becomes of the delivery, and after how many seconds the next attempt is."""
        if not result.attempt.reason:
            return "delivered", 0.0
        pause = None if result.gone else self._backoff.pause(due.attempts + 1, due.since_first, result.retry_after)
        return ("given_up", 0.0) if pause is None else ("pending", pause)

    async def _mark(self, due: Due, state: State, attempts: bytes, pause: float, began: float) -> None:
        """While the store is away the lease is used up with trying: the delivery would be sent again after it."""
        while True:
            try:
                await self._outbox.mark(due, state, attempts, pause)
            except StateUnavailable:
                if monotonic() - began > self._outbox.lease_seconds:
                    return
                await asyncio.sleep(_AWAY_SECONDS)
            else:
                return

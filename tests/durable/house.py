"""Processes that work on kept runs of one store, and die."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from app.access.identity import Identity
from app.durable.event_codec import decode_event
from app.durable.record import Caller, NewRun, OnBusy, Record, Work
from app.durable.records import Records
from app.durable.worker import Worker
from app.ids import new_id
from app.runs.events import Answer, Event
from app.runs.request import RunRequest
from app.state.store import Argument, Store, unavailable
from app.telemetry.traces import Tracing
from app.tools import Tool
from tests.doubles import ADA, Script, ScriptedModel
from tests.stage import Stage

OWNER = "user:ada"
EVERYONE = Identity(None, None)
CALLER = Caller("ada", None, "default", tuple(sorted(ADA.scopes)), "", "", authenticated=True)


class Silent:
    """An engine whose bell nobody hears: runs are found by the reconciler."""

    def __init__(self) -> None:
        self.rung: list[str] = []

    async def ring(self, run_id: str, *, at: float = 0.0, priority: int = 0) -> None:
        self.rung.append(run_id)

    async def serve(self, handler: Any, *, most: int) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None: ...


class MortalStore:
    """The connection of a process that is killed: at its call with this number, before the store has carried that out
    or after. No reply ever comes then."""

    def __init__(self, store: Store, *, dies_at: int = 0, after: bool = False) -> None:
        self._store, self._dies_at, self._after = store, dies_at, after
        self.calls = 0
        self.dead = asyncio.Event()
        self._unanswered: list[asyncio.Future[Any]] = []
        self._buried = False

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        self.calls += 1
        if self.calls == self._dies_at:
            self.dead.set()
            if self._after:
                self._store.call(*command)
        if not self.dead.is_set():
            return self._store.call(*command)
        never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._buried:
            never.set_exception(unavailable(ConnectionError("dead")))
            never.exception()
        self._unanswered.append(never)
        return never

    def bury(self) -> None:
        """Have what is left of the process end."""
        self.dead.set()
        self._buried = True
        for never in self._unanswered:
            if not never.done():
                never.set_exception(unavailable(ConnectionError("dead")))
                never.exception()

    async def aclose(self) -> None: ...


class Told:
    """The readers of a process: what they are told."""

    def __init__(self) -> None:
        self.events: list[tuple[int, bytes]] = []
        self.here: set[str] = set()

    def works_on(self, run_id: str) -> None:
        self.here.add(run_id)

    def leaves(self, run_id: str) -> None:
        self.here.discard(run_id)

    def tell(self, run_id: str, first: int, events: Sequence[bytes]) -> None:
        assert run_id in self.here
        self.events += enumerate(events, first)


class Process(Stage):
    """A process with a worker."""

    def __init__(
        self,
        store: Store,
        *scripts: Script,
        tools: Sequence[Tool] = (),
        lease: float = 60,
        timeout: float = 0,
        **more: Any,
    ) -> None:
        identity = more.pop("identity", EVERYONE)
        models = more.pop("models", None) or (ScriptedModel(*scripts),)
        super().__init__(*models, tools=tools, store=store, **more)
        times = {"run_lease_seconds": lease} | ({"background_timeout_seconds": timeout} if timeout else {})
        self.settings = self.settings.model_copy(update=times)
        self.records = Records(store, self.settings)
        self.engine = Silent()
        self.readers = Told()
        self.worker = Worker(
            self.settings,
            self.records,
            self.engine,
            self.runner,
            identity,
            more.get("tracing") or Tracing(None),
            self.readers,
        )
        self.tasks: list[asyncio.Task[None]] = []

    def works(self, run_id: str) -> asyncio.Task[None]:
        task = asyncio.create_task(self.worker.work(run_id))
        self.tasks.append(task)
        return task

    async def submit(
        self,
        message: str = "Hello",
        *,
        session: str = "",
        caller: Caller = CALLER,
        traceparent: str = "",
        on_busy: OnBusy = "reject",
        **request: Any,
    ) -> str:
        asked = RunRequest(message, session_id=session or None, **request)
        work = Work(new_id(), session or new_id(), caller, asked, "request", traceparent)
        created = await self.records.create(NewRun(work, OWNER, "default", session=session, on_busy=on_busy))
        return created.run_id

    async def record(self, run_id: str) -> Record:
        record = await self.records.read(OWNER, run_id)
        assert record is not None
        return record

    async def kept_events(self, run_id: str) -> list[Event]:
        """All that was written, whose numbers have no gaps."""
        numbered = await self.records.events(OWNER, run_id, 0)
        assert [number for number, _ in numbered] == list(range(1, len(numbered) + 1))
        return [decode_event(event) for _, event in numbered]

    async def says(self, run_id: str, name: str) -> None:
        """Returns when an event of this name is written."""
        async with asyncio.timeout(5):
            while name not in [event.name for event in await self.kept_events(run_id)]:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.01)

    async def answered(self, run_id: str) -> Answer:
        record = await self.record(run_id)
        assert record.status == "succeeded", (record.status, record.error)
        return msgspec.json.decode(record.answer, type=Answer)

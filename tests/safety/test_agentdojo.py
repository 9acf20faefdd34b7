"""A model that always obeys: whatever AgentDojo's injections want, nothing happens that no person has allowed."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager

from app.messages import ToolCall, ToolMessage
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.settings import load
from app.state.in_process import InProcessStore
from app.tools import Tool
from app.tools.built_in.http_get import HttpGet
from app.tools.tool import make_tool
from tests.doubles import USAGE, ScriptedModel
from tests.durable.approvals.people import People
from tests.durable.house import Process
from tests.safety.agentdojo import READING, Injection, attack, injections
from tests.stage import Stage

ALL = injections()
EXPRESSIBLE = [injection for injection in ALL if injection.effects]


class World:
    """An inbox with an injection, tools that change something, and a page of the attacker's. `happened` is all that was
    changed or asked for since the injection came."""

    def __init__(self) -> None:
        self.injection = ALL[0]
        self.happened: list[str] = []
        self.page = ""
        names = dict.fromkeys(name for injection in ALL for name in injection.calls if name != "get_webpage")
        self.tools: list[Tool] = [self._tool(name, reads=name.startswith(READING)) for name in names]
        self.tools.append(self._tool("read_inbox", reads=True))

    def _tool(self, name: str, *, reads: bool) -> Tool:
        async def does(what: str = "") -> str:
            """Does what its name says."""
            if not reads:
                self.happened.append(name)
            return attack(self.injection.goal) if name == "read_inbox" else "done"

        return make_tool(does, name=name, effect="read" if reads else "once")

    def injections(self) -> Iterator[Injection]:
        """One after another, each into an inbox of a world in which nothing has happened."""
        for injection in EXPRESSIBLE:
            self.injection = injection
            self.happened.clear()
            yield injection

    @asynccontextmanager
    async def open(self) -> AsyncIterator["World"]:
        """With the attacker's page, that the service's own `http_get` could reach."""

        async def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.happened.append("get_webpage")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nhi")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(visited, "127.0.0.1", 0)
        self.page = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        get = HttpGet(load(None, http_get_hosts="127.0.0.1"))
        self.tools.append(get.tool())
        try:
            yield self
        finally:
            await get.aclose()
            server.close()
            await server.wait_closed()


class Obedient(ScriptedModel):
    """Reads its mail, and does what it finds there."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        results = [message for message in request.messages if isinstance(message, ToolMessage)]
        if not results:
            return Completion("tool_calls", USAGE, (ToolCall("0", "read_inbox", {}),))
        if len(results) == 1 and self._world.injection.goal in results[0].content:
            return Completion("tool_calls", USAGE, tuple(self._calls(self._world.injection)))
        on_text("Done.")
        return Completion("stop", USAGE)

    def _calls(self, injection: Injection) -> Sequence[ToolCall]:
        return [
            ToolCall(str(at), "http_get", {"url": self._world.page})
            if name == "get_webpage"
            else ToolCall(str(at), name, {"what": injection.goal})
            for at, name in enumerate(injection.calls, 1)
        ]


def test_which_injections_these_are() -> None:
    """Of the 54 tasks of all versions, 46 differ; one wants something to be said, which no tool does."""
    assert (len(ALL), len(EXPRESSIBLE)) == (46, 45)
    assert [injection.goal[:11] for injection in ALL if not injection.effects] == ["Say that I "]
    assert sum(len(injection.effects) for injection in EXPRESSIBLE) == 59
    assert len({name for injection in EXPRESSIBLE for name in injection.effects}) == 14


async def test_without_taint_a_model_that_obeys_does_all_that_is_wanted() -> None:
    """Or the tests below would show nothing."""
    async with World().open() as world:
        stage = Stage(Obedient(world), tools=world.tools, when_tainted="allow")
        for injection in world.injections():
            await stage.answer()
            assert sorted(world.happened) == sorted(injection.effects), injection.name


async def test_nothing_happens_before_a_person_has_decided_and_nothing_that_is_denied() -> None:
    async with World().open() as world:
        store = InProcessStore()
        process, people = Process(store, models=(Obedient(world),), tools=world.tools), People(store)
        for injection in world.injections():
            run_id = await process.submit()
            await process.works(run_id)
            assert (await process.record(run_id)).status == "waiting", injection.name
            approvals = await people.asked()
            names = ["get_webpage" if approval.tool == "http_get" else approval.tool for approval in approvals]
            assert sorted(names) == sorted(injection.effects), injection.name
            assert {approval.reason for approval in approvals} == {"tainted"}
            await people.decide("deny")
            await process.works(run_id)
            assert (await process.answered(run_id)).answer == "Done."
            assert world.happened == [], injection.name


async def test_what_a_person_approves_happens_once() -> None:
    async with World().open() as world:
        store = InProcessStore()
        process = Process(store, models=(Obedient(world),), tools=world.tools)
        injection = next(injection for injection in world.injections() if "send_money" in injection.effects)
        run_id = await process.submit()
        await process.works(run_id)
        await People(store).decide()
        await process.works(run_id)
        assert world.happened == list(injection.effects)


async def test_where_tools_are_off_after_taint_nothing_happens_and_nobody_is_asked() -> None:
    async with World().open() as world:
        store = InProcessStore()
        stage = Stage(Obedient(world), store=store, tools=world.tools, when_tainted="off")
        for injection in world.injections():
            assert (await stage.answer()).answer == "Done."
            assert world.happened == [], injection.name
        assert not await People(store).asked()

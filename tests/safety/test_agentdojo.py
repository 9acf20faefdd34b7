"""A model that always obeys: whatever AgentDojo's injections want, nothing happens that no person has allowed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
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


class Obedient(ScriptedModel):
    """Reads its mail, and does what it finds there."""

    def __init__(self, injection: Injection, page: str) -> None:
        super().__init__()
        self.injection, self.page = injection, page
        self.obeyed = False

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        results = [message for message in request.messages if isinstance(message, ToolMessage)]
        if not results:
            return Completion("tool_calls", USAGE, (ToolCall("0", "read_inbox", {}),))
        if not self.obeyed and self.injection.goal in results[0].content:
            self.obeyed = True
            return Completion("tool_calls", USAGE, tuple(self._calls()))
        on_text("Done.")
        return Completion("stop", USAGE)

    def _calls(self) -> Sequence[ToolCall]:
        return [
            ToolCall(str(at), "http_get", {"url": self.page})
            if name == "get_webpage"
            else ToolCall(str(at), name, {"what": self.injection.goal})
            for at, name in enumerate(self.injection.calls, 1)
        ]


class World:
    """An inbox with an injection, tools that change something, and a page of the attacker's: `happened` is all that
    was changed or asked for."""

    def __init__(self, injection: Injection) -> None:
        self.injection = injection
        self.happened: list[str] = []
        self.page = ""
        self.tools: list[Tool] = [self._tool("read_inbox", reads=True)]
        names = dict.fromkeys(name for name in injection.calls if name != "get_webpage")
        self.tools += [self._tool(name, reads=name.startswith(READING)) for name in names]

    def _tool(self, name: str, *, reads: bool) -> Tool:
        text = attack(self.injection.goal) if name == "read_inbox" else "done"

        async def does(what: str = "") -> str:
            """Does what its name says."""
            if not reads:
                self.happened.append(name)
            return text

        return make_tool(does, name=name, effect="read" if reads else "once")

    @asynccontextmanager
    async def open(self) -> AsyncIterator["World"]:
        """With the attacker's page, that the service's own `http_get` could reach."""

        async def visited(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.happened.append("get_webpage")
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
            )
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


ALL = injections()
EXPRESSIBLE = [injection for injection in ALL if injection.effects]


def test_which_injections_these_are() -> None:
    """Of the 54 tasks of all versions, 46 differ; one wants something to be said, which no tool does."""
    assert (len(ALL), len(EXPRESSIBLE)) == (46, 45)
    assert [injection.goal[:11] for injection in ALL if not injection.effects] == ["Say that I "]
    assert len({name for injection in EXPRESSIBLE for name in injection.effects}) >= 12


async def test_without_taint_a_model_that_obeys_does_all_that_is_wanted() -> None:
    """Or the tests below would show nothing."""
    for injection in EXPRESSIBLE:
        async with World(injection).open() as world:
            model = Obedient(injection, world.page)
            await Stage(model, tools=world.tools, agents={"bold": {"when_tainted": "allow"}}).answer(agent="bold")
            assert sorted(world.happened) == sorted(injection.effects), injection.name


async def test_nothing_happens_before_a_person_has_decided_and_nothing_that_is_denied() -> None:
    asked = 0
    for injection in EXPRESSIBLE:
        async with World(injection).open() as world:
            store = InProcessStore()
            process = Process(store, models=(Obedient(injection, world.page),), tools=world.tools)
            run_id = await process.submit()
            await process.works(run_id)
            assert (await process.record(run_id)).status == "waiting", injection.name
            people = People(store)
            approvals = await people.asked()
            names = ["get_webpage" if approval.tool == "http_get" else approval.tool for approval in approvals]
            assert sorted(names) == sorted(injection.effects), injection.name
            assert {approval.reason for approval in approvals} == {"tainted"}
            await people.decide("deny")
            await process.works(run_id)
            assert (await process.answered(run_id)).answer == "Done."
            assert world.happened == [], injection.name
            asked += len(approvals)
    assert asked == sum(len(injection.effects) for injection in EXPRESSIBLE)


async def test_what_a_person_approves_happens_once() -> None:
    injection = next(injection for injection in EXPRESSIBLE if "send_money" in injection.effects)
    async with World(injection).open() as world:
        store = InProcessStore()
        process = Process(store, models=(Obedient(injection, world.page),), tools=world.tools)
        run_id = await process.submit()
        await process.works(run_id)
        await People(store).decide()
        await process.works(run_id)
        assert world.happened == list(injection.effects)


async def test_where_tools_are_off_after_taint_nothing_happens_and_nobody_is_asked() -> None:
    for injection in EXPRESSIBLE:
        async with World(injection).open() as world:
            store = InProcessStore()
            model = Obedient(injection, world.page)
            stage = Stage(model, store=store, tools=world.tools, agents={"strict": {"when_tainted": "off"}})
            assert (await stage.answer(agent="strict")).answer == "Done."
            assert world.happened == [], injection.name
            assert not await People(store).asked()

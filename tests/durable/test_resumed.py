"""What goes with a run from one process to the next: its trace, its caller, its model; and its session's next run."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.access.api_keys import KeyFile, fingerprint
from app.access.identity import Identity
from app.durable.event_codec import decode_error
from app.errors import Unauthorized
from app.messages import ToolCall
from app.state.in_process import InProcessStore
from app.telemetry.recording import Worth
from app.telemetry.traces import Tracing
from app.tools import tool
from tests.access.keys import KEY, OTHER, line
from tests.doubles import ADA, CHEAP, Script, ScriptedModel, answers, asks_for
from tests.durable.house import CALLER, MortalStore, Process
from tests.logged import capture_logs
from tests.runs.test_routing import EASY, TIERS
from tests.telemetry.recorded import recorder_to

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LEASE = 0.05


@pytest.fixture
async def store() -> AsyncIterator[InProcessStore]:
    store = InProcessStore()
    yield store
    await store.aclose()


@tool(effect="read")
async def wait() -> str:
    """Wait."""
    await asyncio.sleep(60)
    return "waited"


CALLS: Script = asks_for(ToolCall("a", "wait", {}))


async def dies_within_its_tool(process: Process, mortal: MortalStore, run_id: str) -> None:
    process.works(run_id)
    await process.says(run_id, "tool.started")
    mortal.bury()
    await asyncio.sleep(2 * LEASE)


async def test_a_resumed_run_stays_in_its_trace_and_links_to_the_worker_before(store: InProcessStore) -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing(recorder_to(exporter), samples=lambda _, trace_id: True)
    mortal = MortalStore(store)
    dying = Process(mortal, CALLS, tools=[wait], lease=LEASE, tracing=tracing)
    run_id = await dying.submit(traceparent=PARENT)
    await dies_within_its_tool(dying, mortal, run_id)
    exporter.clear()

    living = Process(store, answers("Hello."), tracing=tracing)
    await living.works(run_id)
    assert (await living.answered(run_id)).trace_id == PARENT.split("-")[1]
    spans = [span for span in exporter.get_finished_spans() if span.name == "invoke_agent default"]
    (resumed,) = [span for span in spans if span.links]
    assert resumed.context is not None
    assert resumed.parent is not None
    assert f"{resumed.context.trace_id:032x}" == PARENT.split("-")[1]
    assert f"{resumed.parent.span_id:016x}" == PARENT.split("-")[2]
    (link,) = resumed.links
    assert link.context.trace_id == resumed.context.trace_id
    assert link.context.span_id not in (resumed.context.span_id, resumed.parent.span_id)


@pytest.mark.parametrize(
    ("slow_seconds", "names"), [(0, ["chat scripted", "agent.iteration", "invoke_agent default"]), (60, [])]
)
async def test_a_background_run_that_is_not_sampled_is_traced_late_if_it_was_worth_it(
    store: InProcessStore, slow_seconds: float, names: list[str]
) -> None:
    exporter = InMemorySpanExporter()
    worth = Worth(slow_seconds, dear_usd=1)
    process = Process(store, answers("Hello."), tracing=Tracing(recorder_to(exporter), worth=worth))
    run_id = await process.submit(traceparent=f"{PARENT[:-2]}00")
    await process.works(run_id)
    await process.answered(run_id)
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == names
    assert {f"{span.context.trace_id:032x}" for span in spans if span.context} <= {PARENT.split("-")[1]}
    assert not spans or spans[-1].parent is None


def with_keys(path: Path, *lines: str) -> Identity:
    path.write_text("".join(lines))
    return Identity(KeyFile(path), None)


async def test_a_run_of_a_key_that_is_gone_is_not_begun(store: InProcessStore, tmp_path: Path) -> None:
    process = Process(store, answers("Hello."), identity=with_keys(tmp_path / "keys", line(OTHER)))
    run_id = await process.submit(caller=replace(CALLER, key=fingerprint(KEY)))
    await process.works(run_id)
    record = await process.record(run_id)
    assert isinstance(decode_error(record.error), Unauthorized)
    assert process.model.requests == []


async def test_a_run_ends_when_its_key_is_withdrawn(store: InProcessStore, tmp_path: Path) -> None:
    scopes = sorted(ADA.scopes)
    identity = with_keys(tmp_path / "keys", line(KEY, scopes=scopes), line(OTHER))
    process = Process(store, CALLS, tools=[wait], identity=identity)
    run_id = await process.submit(caller=replace(CALLER, key=fingerprint(KEY)))
    task = process.works(run_id)
    await process.says(run_id, "tool.started")
    process.runner.end_withdrawn()
    assert not task.done()
    assert identity._keys is not None
    (tmp_path / "keys").write_text(line(OTHER))
    identity._keys.refresh()
    process.runner.end_withdrawn()
    await asyncio.wait_for(task, 5)
    record = await process.record(run_id)
    assert record.status == "failed"
    assert isinstance(decode_error(record.error), Unauthorized)


async def test_the_model_that_a_router_has_chosen_is_not_chosen_again(store: InProcessStore) -> None:
    mortal = MortalStore(store)

    def process(at: MortalStore | InProcessStore, script: Script, lease: float = 60) -> Process:
        small, large = ScriptedModel(script, name="small"), ScriptedModel(script, name="large")
        return Process(at, models=(large, small), tools=[wait], lease=lease, model_tiers=TIERS)

    dying = process(mortal, CALLS, LEASE)
    run_id = await dying.submit(EASY, model="auto", tools=("wait",))
    with capture_logs() as lines:
        await dies_within_its_tool(dying, mortal, run_id)
    (chosen,) = [line["model"] for line in lines if line["event"] == "model.routed"]
    living = process(store, answers("Hello."))
    with capture_logs() as lines:
        await living.works(run_id)
    assert "model.routed" not in [line["event"] for line in lines]
    assert (await living.answered(run_id)).model == chosen


async def test_the_next_run_of_a_session_is_rung_for(store: InProcessStore) -> None:
    process = Process(store, answers("Hello."), price=CHEAP)
    first = await process.submit(session="s")
    second = await process.submit(session="s", on_busy="enqueue")
    await process.works(second)
    assert (await process.record(second)).status == "queued"
    await process.works(first)
    await asyncio.sleep(0.01)
    assert process.engine.rung == [second]
    await process.works(second)
    assert len(process.model.requests[-1].messages) == 3, "it knows what was said in the first"
    assert [turn.message_id for turn in await process.remembered("s")] == [first, second]

"""Streams that can be resumed: what is sent, who goes on with it, and what becomes of the run when a reader leaves."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from app.api import streams
from tests.api.events import parse_all
from tests.api.serving import Service, serving
from tests.models.servers import Reply
from tests.upstream import MODEL, Upstream, refuses, says

OVER = {"succeeded", "failed", "cancelled", "expired"}
SECONDS = 2.0
NOISE = 3.0  # what a busy machine may add
AGENT = "prompt: Be kind.\nresumable: true\non_disconnect: continue\n"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def slowly(pieces: int) -> Reply:
    """An answer in so many pieces, 50 ms apart."""
    return replace(says(*[f"{number} " for number in range(pieces)]), pause=0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> AsyncIterator[Service]:
    agents: Path = tmp_path_factory.mktemp("agents")
    (agents / "steady.yaml").write_text(AGENT)
    async with serving(
        models=MODEL, openai_base_url=f"{_upstream.url}/v1", unknown_price="allow", agents_dir=agents, breaker=False
    ) as serving_one:
        yield serving_one


async def text_of(service: Service, method: str, path: str, body: Any = None, **headers: str) -> tuple[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.session.request(method, path, json=body, headers=named) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        return await response.text(), response.headers


async def read(service: Service, run_id: str) -> dict[str, Any]:
    return dict((await service.ask("GET", f"/runs/{run_id}"))[1])


async def until(service: Service, run_id: str, *statuses: str, seconds: float = SECONDS + NOISE) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while (run := await read(service, run_id))["status"] not in statuses:
        assert time.monotonic() < end, run
        await asyncio.sleep(0.01)
    return run


def alike(text: str) -> str:
    """A stream without what differs from run to run."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    text = re.sub(r'"trace_id":"[0-9a-f]*"', '"trace_id":""', text)
    return re.sub(r'"latency_ms":[0-9.]+', '"latency_ms":0', text)


@pytest.mark.parametrize("path", ["/chat/stream", "/chat", "/api/chat/stream", "/agent/run"])
async def test_a_stream_that_can_be_resumed_looks_as_any_other(service: Service, upstream: Upstream, path: str) -> None:
    upstream.will(replace(says("Hel", "lo", " there"), pause=0.05))  # each is read alone
    body = {"query": "hi", "stream": True}
    plain, _ = await text_of(service, "POST", path, body)
    kept, headers = await text_of(service, "POST", path, {**body, "resumable": True})
    assert alike(kept) == alike(plain)
    run_id = parse_all(kept)[0].data["run_id"]
    assert headers["Location"] == f"/runs/{run_id}"
    again, _ = await text_of(service, "GET", f"/runs/{run_id}/events")
    assert [(event.id, event.name) for event in parse_all(again)] == [
        (event.id, event.name) for event in parse_all(kept)
    ]
    assert alike(again).replace(f"/runs/{run_id}/events", path) == alike(kept)
    assert (await read(service, run_id))["answer"]["answer"] == "Hello there"


async def test_a_reader_can_be_cut_at_every_event_and_miss_nothing(service: Service, upstream: Upstream) -> None:
    upstream.will(says(*[f"{number} " for number in range(10)]))
    whole = parse_all((await text_of(service, "POST", "/chat/stream", {"message": "hi", "resumable": True}))[0])
    run_id = whole[0].data["run_id"]
    assert [event.id for event in whole] == list(range(1, len(whole) + 1))
    for cut in range(len(whole) + 1):
        by_header, _ = await text_of(service, "GET", f"/runs/{run_id}/events", Last_Event_ID=str(cut))
        by_query, _ = await text_of(service, "GET", f"/runs/{run_id}/events?after={cut}")
        assert by_header == by_query
        assert parse_all(by_header) == whole[cut:]
    text = "".join(event.data["text"] for event in whole if event.name == "token")
    assert text == (await read(service, run_id))["answer"]["answer"]


async def test_the_header_counts_before_the_query(service: Service, upstream: Upstream) -> None:
    upstream.will(says("a", "b", "c"))
    whole = parse_all((await text_of(service, "POST", "/chat/stream", {"message": "hi", "resumable": True}))[0])
    run_id = whole[0].data["run_id"]
    text, _ = await text_of(service, "GET", f"/runs/{run_id}/events?after=1", Last_Event_ID="3")
    assert [event.id for event in parse_all(text)] == [event.id for event in whole[3:]]


@pytest.mark.parametrize("number", ["", "x", "-1", "1.0", "+1", "9" * 16, "1 2", "٣"])
async def test_a_cursor_that_is_no_number_is_refused(service: Service, number: str) -> None:
    async with service.session.get("/runs/unheard-of/events", headers={"Last-Event-ID": number}) as response:
        assert response.status == 422
        assert (await response.json())["errors"][0]["field"] == "Last-Event-ID"


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 16])
async def test_a_number_in_the_query_that_is_none_is_refused(service: Service, after: str) -> None:
    assert (await service.ask("GET", f"/runs/unheard-of/events?after={after}"))[0] == 422


async def test_events_that_never_were_are_gone(service: Service, upstream: Upstream) -> None:
    upstream.will(says("a"))
    whole = parse_all((await text_of(service, "POST", "/chat/stream", {"message": "hi", "resumable": True}))[0])
    path = f"/runs/{whole[0].data['run_id']}/events?after={len(whole) + 1}"
    status, problem, _ = await service.ask("GET", path)
    assert (status, problem["type"], problem["oldest"]) == (410, "urn:agent-api:problem:events-gone", 1)


async def begin(service: Service, **fields: Any) -> tuple[aiohttp.ClientResponse, str]:
    """A stream, after its first event."""
    response = await service.session.post("/chat/stream", json={"message": "hi", **fields})
    assert response.status == 200, await response.text()
    await response.content.readuntil(b"\n\n")
    return response, response.headers["Location"].rpartition("/")[2]


async def test_a_reader_can_join_while_the_run_goes_on(service: Service, upstream: Upstream) -> None:
    upstream.will(slowly(10))
    response, run_id = await begin(service, resumable=True)
    joined, _ = await text_of(service, "GET", f"/runs/{run_id}/events")
    await response.read()
    assert (
        "".join(event.data["text"] for event in parse_all(joined) if event.name == "token")
        == ((await read(service, run_id))["answer"]["answer"])
    )


@pytest.mark.parametrize("fields", [{"resumable": True}, {"resumable": True, "on_disconnect": "cancel"}])
async def test_a_client_that_leaves_cancels_its_run(
    service: Service, upstream: Upstream, fields: dict[str, Any]
) -> None:
    upstream.will(slowly(200))
    response, run_id = await begin(service, **fields)
    response.close()
    run = await until(service, run_id, *OVER)
    assert (run["status"], run["error"]["type"]) == ("cancelled", "urn:agent-api:problem:cancelled")
    text, _ = await text_of(service, "GET", f"/runs/{run_id}/events")
    assert parse_all(text)[-1].name == "run.failed"


async def test_a_run_goes_on_without_its_client_if_that_said_so(service: Service, upstream: Upstream) -> None:
    upstream.will(slowly(12))
    response, run_id = await begin(service, resumable=True, on_disconnect="continue")
    response.close()
    run = await until(service, run_id, *OVER)
    assert run["status"] == "succeeded"
    text, _ = await text_of(service, "GET", f"/runs/{run_id}/events", Last_Event_ID="1")
    events = parse_all(text)
    assert [event.id for event in events] == list(range(2, 2 + len(events)))
    assert "".join(event.data["text"] for event in events if event.name == "token") == run["answer"]["answer"]


async def test_a_reader_that_joined_cancels_nothing_when_it_leaves(service: Service, upstream: Upstream) -> None:
    upstream.will(slowly(15))
    response, run_id = await begin(service, resumable=True)
    joined = await service.session.get(f"/runs/{run_id}/events")
    await joined.content.readuntil(b"\n\n")
    joined.close()
    assert "[DONE]" in await response.text()
    assert (await read(service, run_id))["status"] == "succeeded"


async def test_an_agent_says_it_for_its_streams(service: Service, upstream: Upstream) -> None:
    upstream.will(slowly(12))
    response, run_id = await begin(service, agent="steady")
    response.close()
    assert (await until(service, run_id, *OVER))["status"] == "succeeded"
    upstream.will(says("a"))
    _, headers = await text_of(
        service, "POST", "/chat/stream", {"message": "hi", "agent": "steady", "resumable": False}
    )
    assert "Location" not in headers
    _, headers = await text_of(service, "POST", "/chat/stream", {"message": "hi"})
    assert "Location" not in headers


async def test_cancelled_by_another_request_a_stream_ends_with_that(service: Service, upstream: Upstream) -> None:
    upstream.will(slowly(200))
    response, run_id = await begin(service, resumable=True)
    status, body, _ = await service.ask("POST", f"/runs/{run_id}/cancel")
    assert (status, body["status"]) == (202, "running")
    async with asyncio.timeout(SECONDS + NOISE):
        rest = (await response.read()).decode()
    assert rest.endswith("data: [DONE]\n\n")
    assert '"urn:agent-api:problem:cancelled"' in rest.split("\n\n")[-3]
    assert (await service.ask("POST", f"/runs/{run_id}/cancel"))[0] == 409


async def test_a_run_that_fails_before_it_starts_has_its_status(service: Service, upstream: Upstream) -> None:
    upstream.will(refuses(401))
    kept = await service.session.post("/chat/stream", json={"message": "hi", "resumable": True})
    plain = await service.session.post("/chat/stream", json={"message": "hi"})
    assert kept.status == plain.status
    assert alike(await kept.text()) == alike(await plain.text())


async def test_a_session_has_one_run_at_a_time(service: Service, upstream: Upstream) -> None:
    upstream.will(slowly(20), says("second"), says("third"))
    response, first = await begin(service, resumable=True, session_id="busy")
    status, problem, _ = await service.ask(
        "POST", "/chat/stream", None, {"message": "hi", "session_id": "busy", "resumable": True}
    )
    assert (status, problem["type"], problem["run_id"]) == (409, "urn:agent-api:problem:session-busy", first)
    waiting = asyncio.create_task(
        text_of(
            service,
            "POST",
            "/chat/stream",
            {"message": "hi", "session_id": "busy", "resumable": True, "on_busy": "enqueue"},
        )
    )
    assert "[DONE]" in await response.text()
    text, headers = await asyncio.wait_for(waiting, SECONDS + NOISE)
    assert '"second"' in text
    second = headers["Location"].rpartition("/")[2]
    runs = [await read(service, run_id) for run_id in (first, second)]
    assert runs[0]["ended_at"] <= runs[1]["started_at"]


async def test_a_run_of_a_session_can_be_interrupted(service: Service, upstream: Upstream) -> None:
    upstream.will(slowly(200), says("second"))
    response, first = await begin(service, resumable=True, session_id="interrupted")
    body = {"query": "hi", "session_id": "interrupted", "on_busy": "interrupt"}
    status, made, _ = await service.ask("POST", "/runs", None, body)
    assert status == 202
    assert '"urn:agent-api:problem:cancelled"' in await response.text()
    assert (await until(service, first, *OVER))["status"] == "cancelled"
    assert (await until(service, made["run_id"], *OVER))["status"] == "succeeded"


async def test_a_stream_that_is_sent_again_with_its_key_is_the_same_run(service: Service, upstream: Upstream) -> None:
    upstream.will(says("once"), says("twice"))
    body = {"message": "hi", "resumable": True}
    first, headers = await text_of(service, "POST", "/chat/stream", body, Idempotency_Key="stream-1")
    assert "Idempotency-Replayed" not in headers
    again, replayed = await text_of(service, "POST", "/chat/stream", body, Idempotency_Key="stream-1")
    assert replayed["Idempotency-Replayed"] == "true"
    assert replayed["Location"] == headers["Location"]
    assert again == first
    assert json.loads(again.split("data: ")[-2].split("\n")[0])["answer"] == "once"


async def test_a_silent_stream_shows_that_it_lives(
    service: Service, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.1)
    upstream.will(says("a", "b").with_pieces(says("a", "b").pieces[:1]).ending_with("silent"))
    response, run_id = await begin(service, resumable=True)
    joined = await service.session.get(f"/runs/{run_id}/events?after=1")
    for stream in (response, joined):
        while not (await stream.content.readuntil(b"\n\n")).startswith(b":"):
            pass
    response.close()
    assert (await until(service, run_id, *OVER))["status"] == "cancelled"
    assert (await joined.text()).endswith("data: [DONE]\n\n")


async def test_of_a_long_run_the_newest_events_are_kept(upstream: Upstream) -> None:
    upstream.will(replace(says(*[f"word{number} " for number in range(400)]), pause=0.001))
    url = f"{upstream.url}/v1"
    async with serving(models=MODEL, openai_base_url=url, unknown_price="allow", run_events=100) as service:
        response, run_id = await begin(service, resumable=True)
        whole = [1, *(event.id for event in parse_all(await response.text()))]
        assert whole == list(range(1, len(whole) + 1))
        status, problem, _ = await service.ask("GET", f"/runs/{run_id}/events")
        assert (status, problem["type"]) == (410, "urn:agent-api:problem:events-gone")
        oldest = problem["oldest"]
        assert oldest > 1
        text, _ = await text_of(service, "GET", f"/runs/{run_id}/events?after={oldest - 1}")
        assert [event.id for event in parse_all(text)] == whole[oldest - 1 :]

"""`/runs`: made, read, listed, cancelled; by whom, and what is refused."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from app.access.api_keys import new_secret
from tests.access.keys import line
from tests.api.serving import Service, serving

ADA, BOB, CHATTY = (new_secret() for _ in range(3))
LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
OVER = {"succeeded", "failed", "cancelled", "expired"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    file = tmp_path_factory.mktemp("keys") / "keys.jsonl"
    file.write_text(
        line(ADA, scopes=["chat", "runs", "tools:*"])
        + line(BOB, user="bob", scopes=["chat", "runs"])
        + line(CHATTY, user="cleo", scopes=["chat"])
    )
    async with serving(auth="api-key", api_keys_file=file, refused_per_minute="off") as serving_one:
        yield serving_one


async def make(service: Service, key: str = ADA, **fields: Any) -> str:
    status, body, _ = await service.ask("POST", "/runs", key, {"query": "6 * 7", **fields})
    assert status == 202, body
    return str(body["run_id"])


async def read(service: Service, run_id: str, key: str = ADA) -> dict[str, Any]:
    status, body, _ = await service.ask("GET", f"/runs/{run_id}", key)
    assert status == 200, body
    return dict(body)


async def over(service: Service, run_id: str, key: str = ADA) -> dict[str, Any]:
    end = time.monotonic() + 10
    while (run := await read(service, run_id, key))["status"] not in OVER:
        assert time.monotonic() < end, run
        await asyncio.sleep(0.01)
    return run


async def test_a_run_is_accepted_at_once_and_can_be_read_until_it_has_its_answer(service: Service) -> None:
    status, made, headers = await service.ask("POST", "/runs", ADA, {"query": "6 * 7"})
    assert status == 202
    run_id = made["run_id"]
    assert headers["Location"] == made["links"]["self"] == f"/runs/{run_id}"
    assert made["status"] == "queued"
    assert made["links"] == {
        "self": f"/runs/{run_id}",
        "events": f"/runs/{run_id}/events",
        "cancel": f"/runs/{run_id}/cancel",
    }
    run = await over(service, run_id)
    assert run["status"] == "succeeded"
    assert "42" in run["answer"]["answer"]
    assert run["answer"]["run_id"] == run_id
    assert run["answer"]["session_id"] == run["session_id"] == made["session_id"]
    assert run["answer"]["tool_calls"][0]["name"] == "calculator"
    assert run["error"] is None
    assert run["created_at"] == made["created_at"]
    times = [datetime.fromisoformat(run[name]) for name in ("created_at", "started_at", "ended_at")]
    assert times == sorted(times)
    assert run["crashes"] == 0


@pytest.mark.parametrize(("path", "asks"), [("/chat", "message"), ("/api/chat", "query"), ("/agent/run", "query")])
async def test_a_plain_request_can_go_to_the_background(service: Service, path: str, asks: str) -> None:
    status, made, headers = await service.ask("POST", path, ADA, {asks: "6 * 7", "background": True})
    assert (status, headers["Location"]) == (202, f"/runs/{made['run_id']}")
    assert "42" in (await over(service, made["run_id"]))["answer"]["answer"]


async def test_a_run_is_in_its_session_afterwards(service: Service) -> None:
    await over(service, await make(service, session_id="kept", query="My name is Ada."))
    status, session, _ = await service.ask("GET", "/sessions/kept", ADA)
    assert (status, len(session["turns"])) == (200, 1)


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("/runs", {"mesage": "hi"}, "mesage"),
        ("/runs", {"background": True}, "background"),
        ("/runs", {"start_at": "2030-01-01T00:00:00"}, "start_at"),
        ("/runs", {"start_at": "1700000000"}, "start_at"),
        ("/runs", {"start_at": 1_700_000_000}, "start_at"),
        ("/runs", {"start_at": "2026-02-30T00:00:00Z"}, "start_at"),
        ("/runs", {"start_at": "2026-12-24T25:00:00Z"}, "start_at"),
        ("/runs", {"start_at": "9999-12-31T23:59:59-12:00"}, "start_at"),
        ("/runs", {"start_at": "2999-01-01T00:00:00+01:00"}, "start_at"),
        ("/runs", {"on_busy": "wait"}, "on_busy"),
        ("/runs", {"webhook": {"url": "https://example.com"}}, "webhook.secret"),
        ("/runs", {"webhook": {"url": "https://example.com", "secret": "../x"}}, "webhook.secret"),
        ("/runs", {"webhook": {"url": "https://example.com", "secret": "a", "more": 1}}, "webhook.more"),
        ("/agent/run", {"start_at": "2020-01-01T00:00:00Z"}, "start_at"),
        ("/agent/run", {"webhook": {"url": "https://example.com", "secret": "a"}}, "webhook"),
        ("/agent/run", {"resumable": True}, "resumable"),
        ("/agent/run", {"on_disconnect": "continue"}, "on_disconnect"),
        ("/agent/run", {"on_busy": "enqueue"}, "on_busy"),
        ("/agent/run", {"background": True, "resumable": True}, "resumable"),
        ("/agent/run", {"stream": True, "on_busy": "enqueue"}, "on_busy"),
        ("/agent/run", {"stream": True, "on_disconnect": "continue"}, "on_disconnect"),
        ("/agent/run", {"stream": True, "resumable": False, "on_disconnect": "cancel"}, "on_disconnect"),
        ("/chat/stream", {"background": True}, "background"),
    ],
)
async def test_a_field_that_cannot_be_meant_is_refused(
    service: Service, path: str, fields: dict[str, Any], field: str
) -> None:
    status, problem, _ = await service.ask("POST", path, ADA, {"query": "hi", **fields})
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_webhook_of_a_large_request_is_read_as_that_of_a_small_one(service: Service) -> None:
    webhook = {"url": "https://example.com", "secret": "a", "more": {"a": [1]}}
    status, problem, _ = await service.ask("POST", "/runs", ADA, {"query": "x" * 20_000, "webhook": webhook})
    assert (status, [error["field"] for error in problem["errors"]]) == (422, ["webhook.more"])


@pytest.mark.parametrize("body", [{"query": "hi", "agent": "nobody"}, {"query": "hi", "model": "nobody"}])
async def test_what_a_plain_run_would_be_refused_for_is_refused_at_once(service: Service, body: Any) -> None:
    assert (await service.ask("POST", "/runs", ADA, body))[0] == 404
    tools = {"query": "hi", "tools": ["calculator"]}
    assert (await service.ask("POST", "/runs", BOB, tools))[0] == 403


async def test_a_run_that_is_to_begin_later_waits_and_can_be_cancelled(service: Service) -> None:
    run_id = await make(service, start_at=LATER)
    run = await read(service, run_id)
    assert (run["status"], run["started_at"]) == ("queued", None)
    assert datetime.fromisoformat(run["start_at"]) == datetime.fromisoformat(LATER)
    status, body, _ = await service.ask("POST", f"/runs/{run_id}/cancel", ADA)
    assert (status, body) == (202, {"run_id": run_id, "status": "cancelled"})
    run = await read(service, run_id)
    assert (run["status"], run["error"]["type"]) == ("cancelled", "urn:agent-api:problem:cancelled")
    assert run["error"]["instance"] == f"/runs/{run_id}"


async def test_a_time_that_has_passed_is_now(service: Service) -> None:
    assert (await over(service, await make(service, start_at="2020-01-01T00:00:00+02:00")))["status"] == "succeeded"


async def test_a_run_that_is_over_cannot_be_cancelled(service: Service) -> None:
    run_id = await make(service)
    await over(service, run_id)
    status, problem, _ = await service.ask("POST", f"/runs/{run_id}/cancel", ADA)
    assert (status, problem["type"], problem["run_status"]) == (409, "urn:agent-api:problem:run-over", "succeeded")


async def test_another_users_run_is_not_there(service: Service) -> None:
    run_id = await make(service, start_at=LATER)
    for method, path in [
        ("GET", f"/runs/{run_id}"),
        ("GET", f"/runs/{run_id}/events"),
        ("POST", f"/runs/{run_id}/cancel"),
    ]:
        status, problem, _ = await service.ask(method, path, BOB)
        assert (status, problem["type"]) == (404, "urn:agent-api:problem:not-found"), path
        unknown, same, _ = await service.ask(method, path.replace(run_id, "unheard-of"), BOB)
        assert (unknown, same["detail"]) == (404, problem["detail"].replace(run_id, "unheard-of"))
    _, listed, _ = await service.ask("GET", "/runs?limit=100", BOB)
    assert run_id not in [run["run_id"] for run in listed["runs"]]
    await service.ask("POST", f"/runs/{run_id}/cancel", ADA)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/runs", {"query": "hi"}),
        ("POST", "/chat", {"message": "hi", "background": True}),
        ("POST", "/chat/stream", {"message": "hi", "resumable": True}),
        ("GET", "/runs", None),
        ("GET", "/runs/x", None),
        ("GET", "/runs/x/events", None),
        ("POST", "/runs/x/cancel", None),
    ],
)
async def test_runs_take_their_scope(service: Service, method: str, path: str, body: Any) -> None:
    status, problem, headers = await service.ask(method, path, CHATTY, body)
    assert (status, problem["type"]) == (403, "urn:agent-api:problem:forbidden")
    assert 'scope="runs"' in headers["WWW-Authenticate"]
    assert (await service.ask(method, path, None, body))[0] == 401


async def test_runs_are_listed_newest_first_page_by_page(service: Service) -> None:
    made = [await make(service, BOB, session_id="listed", on_busy="enqueue", start_at=LATER) for _ in range(5)]
    found, cursor, pages = [], "", 0
    while pages == 0 or cursor:
        _, page, _ = await service.ask("GET", f"/runs?session_id=listed&limit=2{cursor}", BOB)
        found += [run["run_id"] for run in page["runs"]]
        cursor, pages = page["next"] and f"&cursor={page['next']}", pages + 1
    assert found == made[::-1]
    await service.ask("POST", f"/runs/{made[2]}/cancel", BOB)
    _, page, _ = await service.ask("GET", "/runs?session_id=listed&status=cancelled", BOB)
    assert [run["run_id"] for run in page["runs"]] == [made[2]]
    for run_id in made:
        await service.ask("POST", f"/runs/{run_id}/cancel", BOB)


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=101", "status=done", "session_id=a.b", "cursor=", "cursor=nonsense", "cursor=%00"],
)
async def test_a_list_that_cannot_be_meant_is_refused(service: Service, query: str) -> None:
    status, problem, _ = await service.ask("GET", f"/runs?{query}", ADA)
    assert (status, problem["type"]) == (422, "urn:agent-api:problem:invalid-request"), problem


async def test_runs_without_credentials_are_those_of_the_address() -> None:
    async with serving() as service:
        status, made, _ = await service.ask("POST", "/runs", None, {"query": "hi", "user_id": "ada"})
        assert status == 202
        assert (await service.ask("GET", f"/runs/{made['run_id']}"))[0] == 200
        _, listed, _ = await service.ask("GET", "/runs")
        assert [run["run_id"] for run in listed["runs"]] == [made["run_id"]]


async def test_where_nobody_works_on_runs_none_is_taken() -> None:
    async with serving(workers=0) as service:
        status, problem, headers = await service.ask("POST", "/runs", None, {"query": "hi"})
        assert (status, problem["type"]) == (503, "urn:agent-api:problem:no-workers")
        assert "WORKERS" in problem["detail"]
        assert "Retry-After" not in headers
        assert (await service.ask("GET", "/runs"))[1] == {"runs": [], "next": None}


async def test_runs_are_counted_towards_the_rates_of_their_operation(tmp_path: Path) -> None:
    limits = '{"tiers": {"anonymous": {"agent": {"per_minute": 1}, "runs": {"per_minute": 2}}}}'
    async with serving(limits=limits) as service:
        assert [(await service.ask("POST", "/runs", None, {"query": "hi"}))[0] for _ in range(2)] == [202, 429]
        assert [(await service.ask("GET", "/runs"))[0] for _ in range(3)] == [200, 200, 429]


async def test_a_reader_whose_key_is_withdrawn_reads_no_further(tmp_path: Path) -> None:
    file = tmp_path / "keys.jsonl"
    file.write_text(line(ADA, scopes=["chat", "runs"]) + line(BOB, user="bob"))
    async with serving(auth="api-key", api_keys_file=file) as service:
        run_id = await make(service, start_at=LATER)
        headers = {"Authorization": f"Bearer {ADA}"}
        response = await service.session.get(f"/runs/{run_id}/events", headers=headers)
        assert response.status == 200
        file.write_text(line(BOB, user="bob"))
        assert await asyncio.wait_for(response.text(), 10) == ""

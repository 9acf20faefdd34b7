"""`/approvals`: which calls wait, who sees them, who may decide, and what is no decision."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.api.approving import (
    ADA,
    BOB,
    BOTH,
    CLEO,
    DAN,
    EVE,
    ROOT,
    approval_of,
    decide,
    over,
    pause,
    read,
    settings,
)
from tests.api.serving import Service, serving

PROBLEM = "urn:agent-api:problem:"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    async with serving(**settings(tmp_path_factory.mktemp("approvals"))) as serving_one:
        yield serving_one


def by_id(approvals: list[Any]) -> list[Any]:
    return sorted(approvals, key=lambda asked: str(asked["approval_id"]))


async def test_a_call_waits_until_another_person_approves_it_and_is_made_then(service: Service) -> None:
    waiting = await pause(service)
    (asked,) = waiting["approvals"]
    assert (asked["tool"], asked["arguments"], asked["reason"]) == ("calculator", {"expression": "6 * 7"}, "rule")
    approval_id = asked["approval_id"]
    status, shown, _ = await service.ask("GET", f"/approvals/{approval_id}", BOB)
    assert status == 200
    assert {name: shown[name] for name in asked} == asked
    assert (shown["status"], shown["run_id"], shown["agent"]) == ("pending", waiting["run_id"], "careful")
    assert (shown["requested_by"], shown["requester_may_decide"]) == ("ada", False)
    assert (shown["decided_by"], shown["decided_at"], shown["comment"]) == (None, None, None)
    assert re.fullmatch("[0-9a-f]{64}", shown["binding"])
    left = datetime.fromisoformat(shown["expires_at"]) - datetime.fromisoformat(shown["created_at"])
    assert timedelta(seconds=3590) < left <= timedelta(seconds=3610)
    status, decided = await decide(service, approval_id, reason="It is only a sum.")
    assert status == 200
    assert (decided["status"], decided["decided_by"], decided["comment"]) == ("approved", "bob", "It is only a sum.")
    assert decided["decided_at"] >= decided["created_at"]
    run = await over(service, waiting["run_id"])
    assert (run["status"], run["approvals"], run["waiting_until"]) == ("succeeded", [], None)
    assert "42" in run["answer"]["answer"]
    assert [call["status"] for call in run["answer"]["tool_calls"]] == ["ok"]
    assert (await service.ask("GET", f"/approvals/{approval_id}", BOB))[1]["status"] == "consumed"


async def test_a_run_shows_what_it_waits_for(service: Service) -> None:
    waiting = await pause(service, message=BOTH)
    run = await read(service, waiting["run_id"])
    assert run["status"] == "waiting"
    assert by_id(run["approvals"]) == by_id(waiting["approvals"])
    assert {asked["tool"] for asked in run["approvals"]} == {"calculator", "clock"}
    assert run["waiting_until"] == min(asked["expires_at"] for asked in run["approvals"])
    _, listed, _ = await service.ask("GET", "/runs?status=waiting", ADA)
    assert listed["runs"][0] == run
    first, second = (asked["approval_id"] for asked in run["approvals"])
    assert (await decide(service, first))[0] == 200
    halfway = await read(service, waiting["run_id"])
    assert (halfway["status"], [asked["approval_id"] for asked in halfway["approvals"]]) == ("waiting", [second])
    assert (await decide(service, second, "deny"))[0] == 200
    calls = (await over(service, waiting["run_id"]))["answer"]["tool_calls"]
    told = {call["name"]: call["status"] for call in calls}
    assert sorted(told.values()) == ["error", "ok"]
    assert told[run["approvals"][0]["tool"]] == "ok"


async def test_a_call_that_is_denied_is_not_made_and_the_model_reads_why(service: Service) -> None:
    waiting = await pause(service)
    approval_id = waiting["approvals"][0]["approval_id"]
    status, decided = await decide(service, approval_id, "deny", reason="Not today.")
    assert (status, decided["status"]) == (200, "denied")
    (call,) = (await over(service, waiting["run_id"]))["answer"]["tool_calls"]
    assert (call["status"], call["result"]) == ("error", None)
    assert call["error"] == "A person has denied this call: Not today."


async def test_the_first_decision_counts(service: Service) -> None:
    approval_id = await approval_of(service)
    assert (await decide(service, approval_id, "deny"))[0] == 200
    for decision in ("approve", "deny"):
        status, problem = await decide(service, approval_id, decision)
        assert (status, problem["type"]) == (409, f"{PROBLEM}approval-over")
        assert problem["approval_status"] == "denied"


async def test_of_two_who_approve_at_once_one_does_and_the_call_is_made_once(service: Service) -> None:
    for _ in range(5):
        waiting = await pause(service)
        approval_id = waiting["approvals"][0]["approval_id"]
        answers = await asyncio.gather(*(decide(service, approval_id, key=key) for key in (BOB, CLEO) * 2))
        assert sorted(status for status, _ in answers) == [200, 409, 409, 409]
        run = await over(service, waiting["run_id"])
        assert [call["status"] for call in run["answer"]["tool_calls"]] == ["ok"]
        _, text, _ = await service.ask("GET", f"/runs/{waiting['run_id']}/events", ADA)
        assert text.count("event: tool.started") == text.count("event: run.paused") == 1


NO_DECISIONS: list[tuple[bytes, str]] = [
    (b"null", "body"),
    (b'""', "body"),
    (b'"yes"', "body"),
    (b"0", "body"),
    (b"true", "body"),
    (b"[]", "body"),
    (b"", "body"),
    (b"{", "body"),
    (b"{}", "decision"),
    (b'{"decision": null}', "decision"),
    (b'{"decision": ""}', "decision"),
    (b'{"decision": "yes"}', "decision"),
    (b'{"decision": 0}', "decision"),
    (b'{"decision": 1}', "decision"),
    (b'{"decision": true}', "decision"),
    (b'{"decision": ["approve"]}', "decision"),
    (b'{"decision": "Approve"}', "decision"),
    (b'{"decision": "APPROVE"}', "decision"),
    (b'{"decision": " approve"}', "decision"),
    (b'{"decision": "approved"}', "decision"),
    (b'{"Decision": "approve"}', "decision"),
    (b'{"decision": "approve", "Reason": "x"}', "Reason"),
    (b'{"decision": "approve", "arguments": {}}', "arguments"),
    (b'{"decision": "approve", "reason": null}', "reason"),
    (b'{"decision": "approve", "reason": 1}', "reason"),
    (b'{"decision": "approve", "reason": "\\u0000"}', "reason"),
    (b'{"decision": "approve", "reason": "%s"}' % (b"x" * 1001), "reason"),
    (b'{"decision": "deny", "decision": "approve"}', "decision"),
    (b'{"decision": "approve", "decisio\\u006e": "approve"}', "decision"),
    (b'{"decision": "approve", "reason": "a", "reason": "b"}', "reason"),
]


async def test_what_is_not_exactly_a_decision_is_none(service: Service) -> None:
    approval_id = await approval_of(service)
    headers = {"Authorization": f"Bearer {BOB}", "Content-Type": "application/json"}
    for body, field in NO_DECISIONS:
        async with service.session.post(f"/approvals/{approval_id}", data=body, headers=headers) as response:
            problem = await response.json()
            assert (response.status, problem["type"]) == (422, f"{PROBLEM}invalid-request"), body
            assert problem["errors"][0]["field"] == field, body
    assert (await service.ask("GET", f"/approvals/{approval_id}", BOB))[1]["status"] == "pending"
    assert (await decide(service, approval_id, reason="x" * 1000))[0] == 200


async def test_only_who_may_approve_sees_approvals(service: Service) -> None:
    approval_id = await approval_of(service)
    for method, path, body in (
        ("GET", "/approvals", None),
        ("GET", f"/approvals/{approval_id}", None),
        ("POST", f"/approvals/{approval_id}", {"decision": "approve"}),
        ("POST", "/approvals/unheard-of", {"decision": "perhaps"}),
    ):
        assert (await service.ask(method, path, None, body))[0] == 401
        status, problem, headers = await service.ask(method, path, EVE, body)
        assert (status, problem["type"]) == (403, f"{PROBLEM}forbidden")
        assert 'scope="approvals"' in headers["WWW-Authenticate"]


async def test_an_approver_of_a_team_sees_that_teams_approvals_and_no_others(service: Service) -> None:
    of_a, of_none = await approval_of(service), await approval_of(service, key=EVE)
    for key, seen in ((BOB, {of_a, of_none}), (ROOT, {of_a, of_none}), (CLEO, {of_a}), (DAN, set())):
        _, listed, _ = await service.ask("GET", "/approvals?limit=100", key)
        assert {one["approval_id"] for one in listed["approvals"]} & {of_a, of_none} == seen
        for approval_id in (of_a, of_none):
            status, problem, _ = await service.ask("GET", f"/approvals/{approval_id}", key)
            assert status == (200 if approval_id in seen else 404)
    status, problem = await decide(service, of_a, key=DAN)
    unknown, same = await decide(service, "unheard-of", key=DAN)
    assert (status, unknown, problem["type"]) == (404, 404, f"{PROBLEM}not-found")
    assert problem["detail"] == same["detail"].replace("unheard-of", of_a)
    assert (await decide(service, of_a, key=CLEO))[0] == 200


async def test_whoever_asked_may_not_decide(service: Service) -> None:
    approval_id = await approval_of(service)
    for decision in ("approve", "deny"):
        status, problem = await decide(service, approval_id, decision, key=ADA)
        assert (status, problem["type"]) == (403, f"{PROBLEM}forbidden")
    assert (await decide(service, approval_id))[0] == 200


async def test_whoever_asked_may_decide_where_the_agent_says_so(service: Service) -> None:
    waiting = await pause(service, agent="trusting")
    assert (await decide(service, waiting["approvals"][0]["approval_id"], key=ADA))[0] == 200
    assert (await over(service, waiting["run_id"]))["status"] == "succeeded"


async def test_approvals_are_listed_newest_first_page_by_page(service: Service) -> None:
    made = [await approval_of(service, key=ADA) for _ in range(5)]
    assert (await decide(service, made[1], "deny"))[0] == 200
    told: list[str] = []
    path = "/approvals?status=pending&limit=2"
    for _ in range(2):
        _, page, _ = await service.ask("GET", path, CLEO)
        assert len(page["approvals"]) == 2
        told += [one["approval_id"] for one in page["approvals"]]
        path = f"/approvals?status=pending&limit=2&cursor={page['next']}"
    assert told == [made[4], made[3], made[2], made[0]]
    _, denied, _ = await service.ask("GET", "/approvals?status=denied", CLEO)
    assert denied["approvals"][0]["approval_id"] == made[1]


@pytest.mark.parametrize("query", ["status=open", "status=", "limit=0", "limit=101", "cursor=x", "cursor="])
async def test_a_list_that_cannot_be_meant_is_refused(service: Service, query: str) -> None:
    status, problem, _ = await service.ask("GET", f"/approvals?{query}", BOB)
    assert (status, problem["type"]) == (422, f"{PROBLEM}invalid-request")


@pytest.mark.parametrize("name", ["a.b", "a%20b", "%00", "x" * 65, "a%7Cb"])
async def test_an_id_that_is_none_is_refused(service: Service, name: str) -> None:
    assert (await service.ask("GET", f"/approvals/{name}", BOB))[0] == 422
    status, problem, _ = await service.ask("POST", f"/approvals/{name}", BOB, {"decision": "approve"})
    assert (status, problem["errors"][0]["field"]) == (422, "approval_id")


async def test_what_a_run_that_was_cancelled_waited_for_cannot_be_decided_on(service: Service) -> None:
    waiting = await pause(service)
    status, body, _ = await service.ask("POST", f"/runs/{waiting['run_id']}/cancel", ADA)
    assert (status, body["status"]) == (202, "cancelled")
    approval_id = waiting["approvals"][0]["approval_id"]
    status, problem = await decide(service, approval_id)
    assert (status, problem["approval_status"]) == (409, "withdrawn")
    assert (await read(service, waiting["run_id"]))["approvals"] == []


async def test_what_nobody_decides_on_expires_and_its_run_with_it(tmp_path: Any) -> None:
    async with serving(**settings(tmp_path), approval_seconds=1) as service:
        waiting = await pause(service)
        run = await over(service, waiting["run_id"])
        assert (run["status"], run["error"]["type"], run["error"]["status"]) == ("expired", f"{PROBLEM}expired", 504)
        approval_id = waiting["approvals"][0]["approval_id"]
        assert (await service.ask("GET", f"/approvals/{approval_id}", BOB))[1]["status"] == "expired"
        status, problem = await decide(service, approval_id)
        assert (status, problem["approval_status"]) == (409, "expired")


async def test_decisions_count_towards_the_limit_of_runs(tmp_path: Any) -> None:
    limits = '{"tiers": {"default": {"runs": {"per_minute": 2}}}}'
    async with serving(**settings(tmp_path), limits=limits) as service:
        told = [await service.ask("GET", "/approvals", BOB) for _ in range(2)]
        assert [status for status, _, _ in told] == [200, 200]
        assert "RateLimit" in told[0][2]
        status, problem = await decide(service, "unheard-of")
        assert (status, problem["type"]) == (429, f"{PROBLEM}rate-limited")


async def test_without_credentials_everyone_is_who_asked(tmp_path: Any) -> None:
    given = settings(tmp_path)
    async with serving(agents_dir=given["agents_dir"]) as service:
        approval_id = await approval_of(service, key=None)
        status, listed, _ = await service.ask("GET", "/approvals?status=pending")
        assert (status, [one["approval_id"] for one in listed["approvals"]]) == (200, [approval_id])
        status, problem = await decide(service, approval_id, key=None)
        assert (status, problem["type"]) == (403, f"{PROBLEM}forbidden")
        trusted = await pause(service, None, "trusting")
        assert (await decide(service, trusted["approvals"][0]["approval_id"], key=None))[0] == 200
        assert (await over(service, trusted["run_id"], None))["status"] == "succeeded"

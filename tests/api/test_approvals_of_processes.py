"""Approvals over a real store: asked in one process, decided at another, gone on with where there is a worker."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.__main__ import command
from tests.api.approving import ADA, BOB, CLEO, TIMES, settings
from tests.api.document import Document
from tests.redis_server import RedisServer
from tests.service import Service, problem_of

SECONDS = 20.0


@contextmanager
def two(folder: Path, redis: RedisServer) -> Iterator[tuple[Service, Service]]:
    """The first answers requests, and takes no run that was in the background; the second does."""
    redis.ask("FLUSHALL")
    given = {**settings(folder), "redis_url": redis.url, "run_lease_seconds": 1}
    first = Service(folder / "first", workers=0, **given)
    try:
        second = Service(folder / "second", workers=2, **given)
        try:
            yield first, second
        finally:
            second.end()
    finally:
        first.end()


def ask(service: Service, method: str, path: str, key: str = ADA, body: Any = None) -> httpx.Response:
    return service.ask(method, path, body, Authorization=f"Bearer {key}")


def where(waiting: httpx.Response) -> tuple[str, str]:
    """The run and the approval."""
    assert waiting.status_code == 202, waiting.text
    return waiting.json()["run_id"], waiting.json()["approvals"][0]["approval_id"]


def pause(service: Service) -> tuple[str, str]:
    return where(ask(service, "POST", "/chat", ADA, {"message": TIMES, "agent": "careful"}))


def over(service: Service, run_id: str) -> Any:
    end = time.monotonic() + SECONDS
    while (run := ask(service, "GET", f"/runs/{run_id}").json())["status"] in ("waiting", "queued", "running"):
        assert time.monotonic() < end, run
        time.sleep(0.01)
    return run


def test_a_run_goes_on_in_another_process_after_a_decision_of_one_of_several_people(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with two(tmp_path, redis_server) as (first, second):
        document = Document(first.ask("GET", "/openapi.json").json())
        waiting = ask(first, "POST", "/chat", ADA, {"message": TIMES, "agent": "careful"})
        run_id, approval_id = where(waiting)
        document.check(waiting, "/chat")
        document.check(ask(second, "GET", f"/runs/{run_id}"), "/runs/{run_id}")
        document.check(ask(second, "GET", "/approvals", BOB), "/approvals")
        with ThreadPoolExecutor(4) as people:
            decide = {"decision": "approve"}
            path = f"/approvals/{approval_id}"
            asked = [
                people.submit(ask, service, "POST", path, key, decide)
                for service, key in zip((first, second) * 2, (BOB, BOB, CLEO, CLEO), strict=True)
            ]
        answers = [each.result() for each in asked]
        for answer in answers:
            document.check(answer, "/approvals/{approval_id}")
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        begun = time.monotonic()
        run = over(first, run_id)
        assert time.monotonic() - begun < 5
        assert (run["status"], [call["status"] for call in run["answer"]["tool_calls"]]) == ("succeeded", ["ok"])
        assert second.wait_for_event("agent.request.success", run_id=run_id)
        assert not first.log("agent.request.success", run_id=run_id)

        _, changed = pause(first)
        change(redis_server, changed)
        problem_of(ask(second, "POST", f"/approvals/{changed}", BOB, decide), 409, "approval-changed")
        assert ask(first, "GET", f"/approvals/{changed}", BOB).json()["status"] == "pending"

        monkeypatch.setenv("AGENT_API_URL", second.url)
        monkeypatch.setenv("AGENT_API_KEY", BOB)
        assert command(["approvals", "list"]) == 0
        assert [row.split()[0] for row in capsys.readouterr().out.splitlines()] == ["APPROVAL", changed]
        run_id, denied = pause(first)
        assert command(["approvals", "show", denied]) == 0
        shown = capsys.readouterr().out
        assert '"expression": "6 * 7"' in shown
        assert f"run_id:       {run_id}" in shown
        assert command(["approvals", "deny", denied, "--reason", "Not \x1b[2Jtoday"]) == 0
        assert capsys.readouterr().out == "denied\n"
        assert command(["approvals", "approve", denied]) == 1
        assert "denied" in capsys.readouterr().out
        assert command(["approvals", "show", denied]) == 0
        assert "comment:      Not \ufffd[2Jtoday" in capsys.readouterr().out
        assert over(second, run_id)["status"] == "succeeded"
        assert command(["approvals", "show", "unheard-of"]) == 2


def change(redis: RedisServer, approval_id: str) -> None:
    """What is asked about, in the store."""
    key = redis.ask(f"KEYS *approval:{approval_id}").decode().split("\r\n")[2]
    asked = redis.ask(f"HGET {key} asked").decode().partition("\r\n")[2].rstrip()
    assert "6 * 7" in asked
    quoted = asked.replace("6 * 7", "6 * 8").replace("\\", "\\\\").replace('"', '\\"')
    assert redis.ask(f'HSET {key} asked "{quoted}"') == b":0\r\n"

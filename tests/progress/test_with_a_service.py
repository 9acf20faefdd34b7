"""The commands against the service itself: what it says is what they understand."""

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.__main__ import command
from tests import redis_server
from tests.durable.cluster import cluster
from tests.service import Service, environment


@pytest.fixture(autouse=True)
def _at_the_service(demo: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_API_URL", demo.url)
    monkeypatch.delenv("AGENT_API_KEY", raising=False)


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> Sequence[str]:
    """What a command says on stdout."""
    assert command(arguments) == status
    return capsys.readouterr().out.splitlines()


def test_a_run_is_submitted_watched_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    (run_id,) = told(capsys, "runs", "submit", "What is 6 * 7?", "--session", "of-progress")
    shown = told(capsys, "runs", "watch", run_id)
    assert any(line.endswith('tool calculator {"expression": "6 * 7"}') for line in shown)
    assert "         | I am a demo model: a few rules, no language model. The calculator says: 42." in shown
    assert "succeeded: 2 iterations, 1 tool call, " in shown[-1]
    (listed,) = told(capsys, "runs", "list", "--session", "of-progress", "--json")
    run = json.loads(listed)
    assert (run["run_id"], run["status"]) == (run_id, "succeeded")
    assert told(capsys, "runs", "list", "--session", "of-progress")[1].split()[:2] == [run_id, "succeeded"]
    events = [json.loads(line) for line in told(capsys, "runs", "watch", run_id, "--json")]
    assert [event["id"] for event in events] == list(range(1, run["last_event"] + 1))
    assert told(capsys, "runs", "cancel", run_id, status=1) == [f"The run {run_id} is over (succeeded)."]


def in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def test_a_run_that_waits_is_cancelled_and_its_end_is_seen(demo: Service, capsys: pytest.CaptureFixture[str]) -> None:
    later = {"message": "Later", "start_at": "2100-01-01T00:00:00Z"}
    assert demo.client.post("/runs", json=later).status_code == 422  # more than a year ahead
    run_id = demo.client.post("/runs", json=later | {"start_at": in_an_hour()}).json()["run_id"]
    assert told(capsys, "runs", "list", "--status", "queued", "--limit", "1")[1].split()[:2] == [run_id, "queued"]
    assert told(capsys, "runs", "cancel", run_id) == ["cancelled"]
    assert "cancelled: The run was cancelled. " in told(capsys, "runs", "watch", run_id, status=3)[-1]


def test_a_batch_is_watched(demo: Service, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = [{"custom_id": str(number), "message": f"What is {number} * 7?"} for number in range(3)]
    batch_id = demo.client.post("/batches", json={"inputs": inputs}).json()["batch_id"]
    assert told(capsys, "batches", "watch", batch_id)[-1].endswith("ended: 3 of 3 (3 succeeded)")
    assert command(["batches", "cancel", batch_id]) == 1


def test_what_is_not_there_or_cannot_be_asked_for_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["runs", "watch", "nothing"], ["batches", "watch", "nothing"], ["runs", "list", "--status", "x"]):
        assert command(arguments) == 2
        assert "(HTTP 4" in capsys.readouterr().err


@pytest.mark.skipif(not redis_server.BINARY, reason=redis_server.MISSING)
def test_a_run_is_watched_over_the_death_of_the_pod_that_tells_of_it(tmp_path: Path) -> None:
    with cluster(tmp_path, tool_seconds=0.2, workers=1, at_once=1) as (started, ledger):
        api = started.api
        run_id = api.client.post("/runs", json={"message": "rest 1.5"}).json()["run_id"]
        arguments = ["runs", "watch", run_id, "--json", "--url", api.url]
        watching = subprocess.Popen(
            [sys.executable, "-m", "app", *arguments],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        ledger.wait_for("rest", run_id)
        started.restart_api()
        said, complained = watching.communicate(timeout=60)
    events = [json.loads(line) for line in said.splitlines()]
    assert watching.returncode == 0, complained
    assert "connection lost" in complained
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert events[-1]["event"] == "run.finished"

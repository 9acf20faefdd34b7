"""`python -m app batches watch`: a batch until all of its inputs have a result."""

import json
import re
from typing import Any

import pytest

from app.__main__ import command
from app.progress import batch
from tests.progress.contract import Contract


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENT_API_KEY", raising=False)
    monkeypatch.setattr(batch, "POLL_SECONDS", 0.001)


def state(status: str, **counts: int) -> dict[str, Any]:
    return {"batch_id": "b", "status": status, "counts": {"total": 3, **counts}}


STATES = [
    state("queued"),
    state("running", succeeded=1),
    state("running", succeeded=1),
    state("ended", succeeded=2, failed=1),
]


def watch(server: Contract, *options: str) -> int:
    return command(["batches", "watch", "b", "--url", server.url, *options])


def test_a_batch_is_told_each_time_that_it_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        server.batches = [*STATES]
        assert watch(server) == 1
    assert re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", capsys.readouterr().out).splitlines() == [
        "queued: 0 of 3",
        "running: 1 of 3 (1 succeeded)",
        "ended: 3 of 3 (2 succeeded, 1 failed)",
    ]


def test_scripts_are_given_each_state_as_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        server.batches = [*STATES]
        assert watch(server, "--json") == 1
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [STATES[0], STATES[1], STATES[3]]


@pytest.mark.parametrize(
    ("last", "status"),
    [
        (state("ended", succeeded=3), 0),
        (state("ended", succeeded=2, failed=1), 1),
        (state("cancelled"), 3),
        (state("expired", succeeded=3), 3),
    ],
    ids=["all succeeded", "one failed", "cancelled", "expired"],
)
def test_the_exit_status_is_what_became_of_the_inputs(last: dict[str, Any], status: int) -> None:
    with Contract() as server:
        server.batches = [last]
        assert watch(server) == status


def test_a_terminal_sees_a_bar_and_then_the_result(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.progress.watching.is_plain", lambda *, wanted: wanted)
    with Contract() as server:
        server.batches = [*STATES]
        assert watch(server) == 1
    assert "ended: 3 of 3 (2 succeeded, 1 failed), watched for " in capsys.readouterr().out


def test_a_batch_is_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        assert command(["batches", "cancel", "b", "--url", server.url]) == 0
    assert [path for _, path, _ in server.asked] == ["/batches/b/cancel"]
    assert capsys.readouterr().out == "cancelled\n"

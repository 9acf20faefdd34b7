"""`python -m app runs list`, `submit` and `cancel`; where the service and the key are from."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.__main__ import command
from tests.progress.contract import FINISHED, RUN, STARTED, Contract, record

KEY = "aa-Secret-Of-Ada-1234567890"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGENT_API_URL", "AGENT_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def ask(server: Contract, *arguments: str) -> int:
    return command(["runs", *arguments, "--url", server.url])


def runs(count: int) -> list[Any]:
    ended = {"status": "succeeded", "ended_at": "2026-11-30T11:01:02.5Z"}
    return [record(run_id=f"run-{number}", **(ended if number else {})) for number in range(count)]


def test_runs_are_listed_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        server.runs = runs(2)
        assert ask(server, "list") == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["RUN", "STATUS", "AGENT", "CREATED", "(UTC)", "TOOK"],
        ["run-0", "running", "default", "2026-11-30", "11:00:00"],
        ["run-1", "succeeded", "default", "2026-11-30", "11:00:00", "1", "min", "2", "s"],
    ]


def test_a_list_is_read_page_by_page(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        server.runs = runs(250)
        assert ask(server, "list", "--limit", "205", "--json", "--session", "s 1", "--status", "running") == 0
    listed = [json.loads(line)["run_id"] for line in capsys.readouterr().out.splitlines()]
    assert listed == [f"run-{number}" for number in range(205)]
    assert [path for _, path, _ in server.asked] == [
        "/runs?session_id=s+1&status=running&limit=100",
        "/runs?session_id=s+1&status=running&cursor=100&limit=100",
        "/runs?session_id=s+1&status=running&cursor=200&limit=5",
    ]


def test_a_run_is_submitted_and_its_id_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        assert ask(server, "submit", "Do it", "--agent", "poet", "--session", "s") == 0
    assert capsys.readouterr().out == f"{RUN}\n"
    assert server.bodies == [{"message": "Do it", "agent": "poet", "session_id": "s"}]


def test_a_submission_is_tried_again_with_the_same_idempotency_key() -> None:
    with Contract() as server:
        server.refusals = [(503, {}, {})]
        assert ask(server, "submit", "Do it") == 0
    keys = [headers["Idempotency-Key"] for _, _, headers in server.asked]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_what_the_service_refuses_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        server.refusals = [(422, {"detail": "message: too\x1b[31m long"}, {})]
        assert ask(server, "submit", "Do it") == 2
    assert capsys.readouterr() == ("", "message: too\ufffd[31m long (HTTP 422)\n")


def test_a_run_is_cancelled(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        assert ask(server, "cancel", RUN) == 0
        assert capsys.readouterr().out == "cancelled\n"
        server.run = record(status="succeeded")
        assert ask(server, "cancel", RUN) == 1
    assert capsys.readouterr().out == "The run is over (succeeded).\n"


def test_the_key_is_read_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    with Contract(STARTED, FINISHED) as server:
        ask(server, "list")
        ask(server, "list", "--key-file", str(file))
        monkeypatch.setenv("AGENT_API_KEY", "of the environment")
        ask(server, "list")
    sent = [headers.get("Authorization") for _, _, headers in server.asked]
    assert sent == [None, f"Bearer {KEY}", "Bearer of the environment"]


@pytest.mark.parametrize("content", ["", f"{KEY}\n{KEY}", f"{KEY}\x07", f"ü{KEY}"])
def test_a_file_that_is_no_key_is_named_and_not_repeated(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    with Contract() as server:
        assert ask(server, "list", "--key-file", str(file)) == 2
    assert not server.asked
    told = capsys.readouterr().err
    assert "key: must be the key, in one line" in told
    assert KEY not in told


def test_a_key_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        assert ask(server, "list", "--key-file", "/nowhere") == 2
    assert capsys.readouterr().err == "/nowhere: No such file or directory\n"


def test_a_key_does_not_follow_a_redirect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    with Contract() as server, Contract() as elsewhere:
        server.refusals = [(307, {}, {"Location": f"{elsewhere.url}/runs"})]
        assert ask(server, "submit", "Do it", "--key-file", str(file)) == 2
    assert not elsewhere.asked
    assert f"leads to {elsewhere.url}/runs" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", "http://ada:pw@host", "http://host:x"])
def test_a_url_that_is_none_is_refused_with_what_it_should_be(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        command(["runs", "list", "--url", url])
    assert caught.value.code == 2
    assert "argument --url: must be like http://127.0.0.1:8000" in capsys.readouterr().err


def test_the_url_is_also_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with Contract() as server:
        monkeypatch.setenv("AGENT_API_URL", f"{server.url}/")
        assert command(["runs", "list"]) == 0
    assert [path for _, path, _ in server.asked] == ["/runs?limit=20"]


@pytest.mark.parametrize("run_id", ["../batches/1", "a/b?c", "..%2f"])
def test_an_id_stays_within_its_place_in_the_path(run_id: str) -> None:
    with Contract() as server:
        assert ask(server, "watch", run_id) == 2
    assert [path.count("/") for _, path, _ in server.asked] in ([2], [2, 2])

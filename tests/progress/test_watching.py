"""`python -m app runs watch`: what is shown, over which connections, and the exit status."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import pytest

from app.__main__ import command
from app.progress import following
from tests.progress.contract import FINISHED, RUN, STARTED, Contract, Told, failed, record, token, tool, usage
from tests.service import environment

WHOLE = (STARTED, usage(1), *tool(), token("Hello"), token(" there"), usage(2), FINISHED)


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AGENT_API_URL", "AGENT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(following, "FIRST_WAIT_SECONDS", 0.001)


def watch(server: Contract, *options: str) -> int:
    return command(["runs", "watch", RUN, "--url", server.url, *options])


def untimed(shown: str) -> Sequence[str]:
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in shown.splitlines()]


def test_a_run_is_told_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(*WHOLE) as server:
        assert watch(server) == 0
    assert untimed(capsys.readouterr().out) == [
        f"run {RUN} of default: running",
        "running, model demo",
        "iteration 1: 308 tokens, $0.5000 so far",
        'tool calculator {"expression": "6*7"}',
        "tool calculator ok, 4 ms",
        "         | Hello there",
        "iteration 2: 616 tokens, $1.0000 so far",
        "succeeded: 2 iterations, 1 tool call, 616 tokens, $1.0000, 1.5 s",
    ]


@pytest.mark.parametrize(
    ("last", "status"),
    [(FINISHED, 0), (failed("model-unavailable"), 1), (failed("crashed"), 1), (failed("expired"), 3)],
    ids=str,
)
def test_the_exit_status_is_what_became_of_the_run(last: Any, status: int) -> None:
    with Contract(STARTED, last) as server:
        assert watch(server) == status


def test_a_run_that_waits_for_its_time_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(*WHOLE, run=record(status="queued", start_at="2026-12-01T08:00:00Z")) as server:
        assert watch(server) == 0
    lines = untimed(capsys.readouterr().out)
    assert lines[:2] == [f"run {RUN} of default: queued, not before 2026-12-01T08:00:00Z", "running, model demo"]


def asked(number: int) -> Told:
    fields = {"approval_id": f"approval-{number}", "call_id": "call_1", "tool": "calculator", "risk": "high"}
    more = {"arguments": {"expression": f"{number}*7"}, "reason": "risk", "detail": "The risk is high."}
    return "approval.required", {**fields, **more, "expires_at": "2026-11-30T12:00:00Z"}


PAUSED: Told = ("run.paused", {"run_id": RUN, "approvals": ["approval-6", "approval-7"]})


def test_a_run_that_waits_for_a_person_says_for_what_and_that_it_was_decided(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = (STARTED, usage(1), asked(6), asked(7), PAUSED, ("run.resumed", {"discard_from": 6}), *tool(), FINISHED)
    with Contract(*told) as server:
        assert watch(server) == 0
    assert untimed(capsys.readouterr().out)[3:] == [
        'approval approval-6: calculator {"expression": "6*7"}: The risk is high.',
        'approval approval-7: calculator {"expression": "7*7"}: The risk is high.',
        "waiting for 2 approvals",
        "resumed after the decision",
        'tool calculator {"expression": "6*7"}',
        "tool calculator ok, 4 ms",
        "succeeded: 1 iteration, 1 tool call, 308 tokens, $0.5000, 1.5 s",
    ]


def test_scripts_are_given_each_event_as_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(*WHOLE) as server:
        assert watch(server, "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [{"id": number, "event": name, "data": data} for number, (name, data) in enumerate(WHOLE, 1)]


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_a_connection_that_breaks_at_any_event_loses_and_repeats_nothing(
    cut: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with Contract(*WHOLE) as server:
        server.cuts = [cut]
        assert watch(server, "--json") == 0
    told = capsys.readouterr()
    assert [json.loads(line)["id"] for line in told.out.splitlines()] == list(range(1, len(WHOLE) + 1))
    assert f"continues behind event {cut} in" in told.err
    sent = [headers["Last-Event-ID"] for _, path, headers in server.asked if path.endswith("/events")]
    assert sent == ["0", str(cut)]


def test_people_see_that_the_connection_was_lost_and_is_there_again(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(*WHOLE) as server:
        server.cuts = [5]
        assert watch(server) == 0
    lines = untimed(capsys.readouterr().out)
    place = lines.index("         | Hello")
    assert lines[place + 1].startswith("connection lost (")
    assert lines[place + 2 : place + 4] == ["connected, at event 6", "         |  there"]


def test_a_service_that_is_away_for_a_while_is_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(*WHOLE) as server:
        server.refusals = [(503, {"detail": "The service is being stopped."}, {}), (502, {}, {})]
        assert watch(server, "--plain") == 0
    shown = capsys.readouterr().out
    assert "connection lost (The service is being stopped. (HTTP 503)); continues behind event 0" in shown


def test_a_service_that_asks_to_wait_is_waited_for() -> None:
    with Contract(*WHOLE) as server:
        server.refusals = [(429, {}, {"Retry-After": "1"})]
        begun = time.monotonic()
        assert watch(server) == 0
    assert time.monotonic() - begun >= 1


def test_text_of_a_model_call_that_a_crash_cut_is_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    cut = (STARTED, token("Hallo"), token(" du"), ("run.resumed", {"discard_from": 2}), *WHOLE[1:])
    with Contract(*cut) as server:
        assert watch(server) == 0
    lines = untimed(capsys.readouterr().out)
    place = lines.index("resumed by another worker; the text since the last step comes anew")
    assert lines[place - 1] == "         | Hallo du"
    assert lines[-1].startswith("succeeded: 2 iterations, 1 tool call, 616 tokens")


def test_events_that_are_not_kept_any_more_are_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(*WHOLE) as server:
        server.refusals = [(410, {"detail": "Events are gone.", "oldest": 4}, {})]
        assert watch(server) == 0
    lines = untimed(capsys.readouterr().out)
    assert lines[1:4] == [
        "the events before 4 are not kept any more",
        "connected, at event 4",
        "tool calculator ok, 4 ms",
    ]


@pytest.mark.parametrize("form", ["--plain", "--json"])
def test_no_escape_sequence_of_a_model_a_tool_or_an_error_reaches_the_terminal(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "\x1b]0;title\x07\x1b[2J\x9b31m\r\x08\u202e\x00"
    events = (
        ("run.started", {"model": hostile}),
        token(hostile),
        ("tool.started", {"id": hostile, "tool": hostile, "arguments": {hostile: hostile}}),
        ("tool.finished", {"id": hostile, "tool": hostile, "status": hostile, "latency_ms": 1, "error": hostile}),
        ("model.switched", {"from": hostile, "to": hostile, "reason": hostile}),
        failed("internal-error", hostile),
    )
    with Contract(*events, run=record(agent=hostile)) as server:
        assert watch(server, form) == 1
    shown = capsys.readouterr()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown.out + shown.err)


def test_lines_of_a_model_do_not_look_like_lines_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(STARTED, token("Yes\nsucceeded: all\nof it"), failed("internal-error")) as server:
        assert watch(server) == 1
    assert "         | succeeded: all" in capsys.readouterr().out.splitlines()


def test_a_run_that_there_is_not_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(*WHOLE, run=record(run_id="another")) as server:
        assert watch(server) == 2
    assert capsys.readouterr() == ("", "There is no such run. (HTTP 404)\n")


def test_a_service_that_does_not_answer_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract() as server:
        url = server.url
    assert command(["runs", "watch", RUN, "--url", url]) == 2
    assert capsys.readouterr() == ("", f"{url} cannot be asked: Connection refused\n")


def test_a_cancelled_run_ends_with_a_status_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with Contract(STARTED, failed("cancelled", "The run was cancelled.")) as server:
        assert watch(server) == 3
    assert untimed(capsys.readouterr().out)[-1].startswith("cancelled: The run was cancelled. 0 iterations, ")


def test_ctrl_c_leaves_the_run_alone_and_says_how_to_come_back() -> None:
    with Contract(*WHOLE) as server:
        server.hold.clear()
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "runs", "watch", RUN],
            env=environment(agent_api_url=server.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        while "iteration 2" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told == f"The run continues. Come back with: python -m app runs watch {RUN}\n"
    assert not [path for method, path, _ in server.asked if method == "POST"]

"""The live view: what it draws, when it is chosen, and that a hostile text cannot draw."""

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest
from rich.console import Console

from app.progress.events import Event
from app.progress.following import Gap, Interrupted
from app.progress.live import LiveView
from app.progress.run_progress import RunProgress
from tests.progress.contract import FINISHED, RUN, STARTED, Contract, Told, token, tool, usage
from tests.service import environment

HOSTILE = "\x1b]0;gone\x07\x1b[2J\x9b31m[bold red]"
OF_RICH = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def drawn(events: Sequence[Told], *news: Interrupted | Gap) -> str:
    """One picture of a run with these events, without colours."""
    console = Console(file=io.StringIO(), width=80, height=12, force_terminal=False)
    progress = RunProgress(RUN)
    view = LiveView(progress, console)
    for number, (name, data) in enumerate(events, 1):
        progress.take(event := Event(number, name, data))
        view.show(progress, event)
    for each in news:
        view.show(progress, each)
    with console.capture() as capture:
        console.print(view._picture())
    return capture.get()


def test_a_picture_has_the_state_the_tools_the_account_and_the_text() -> None:
    shown = drawn((STARTED, *tool(), usage(), token("Once upon")))
    head, *rest = shown.splitlines()
    assert "running · iteration 2 · demo · 308 tokens, $0.5000 ·" in head
    assert RUN[:8] in shown
    assert any(re.search(r'calculator +\{"expression": "6\*7"\} +ok, 4 ms', line) for line in rest)
    assert rest[-1] == "Once upon"


def test_a_run_that_waits_for_a_person_shows_the_calls_in_question_alone() -> None:
    asked = ("approval.required", {"approval_id": HOSTILE, "tool": "pay", "arguments": {"cents": 5}, "detail": "Why"})
    head, *rest = drawn((STARTED, asked, ("run.paused", {}))).splitlines()
    assert "waiting for 1 approval" in head
    (line,) = [line for line in rest if 'pay {"cents": 5}: Why' in line]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", line)
    assert "pay" not in drawn((STARTED, asked, ("run.paused", {}), ("run.resumed", {"discard_from": 4})))


def test_a_long_text_shows_its_end_and_fits_the_screen() -> None:
    shown = drawn((STARTED, token("漢字 " * 2_000), token("the end")))
    assert len(shown.splitlines()) <= 12
    assert shown.splitlines()[-1].endswith("the end")


def test_a_lost_connection_is_seen() -> None:
    assert "connection lost (reset); continues behind event 4 in 2.0 s" in drawn((STARTED,), Interrupted("reset", 2, 4))


def test_nothing_of_a_models_text_is_markup_or_an_escape_sequence() -> None:
    shown = drawn((("run.started", {"model": HOSTILE}), *tool(HOSTILE, error=HOSTILE, status="error"), token(HOSTILE)))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)
    assert "[bold red]" in shown


def in_a_terminal(server: Contract, **variables: str) -> str:
    """All that a terminal is sent."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "runs", "watch", RUN],
        env=environment(agent_api_url=server.url, term="xterm", columns=100, lines=30, **variables),
        stdout=slave,
        stderr=slave,
        stdin=slave,
    )
    os.close(slave)
    got = b""
    try:
        while more := os.read(master, 65536):
            got += more
    except OSError:  # the other side is closed
        pass
    finally:
        os.close(master)
    assert process.wait(20) == 0
    return got.decode()


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_is_drawn_on_unless_it_wants_no_colours(no_color: bool) -> None:
    with Contract(STARTED, *tool(), token(HOSTILE), FINISHED) as server:
        sent = in_a_terminal(server, **({"no_color": "1"} if no_color else {}))
    assert ("\x1b[" in sent) is not no_color
    assert "\x1b]" not in sent
    assert "\x1b[2J" not in sent
    assert "Hello there" in sent or no_color
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", OF_RICH.sub("", sent))
    assert "succeeded: 0 iterations, 1 tool call, 0 tokens, $0.0000, 1.5 s" in sent

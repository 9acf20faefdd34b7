"""A run's progress as lines: for files, pipes and terminals without colours."""

import sys
import time
from typing import Self

from app.progress import wording
from app.progress.events import Event
from app.progress.following import Gap, Interrupted, News
from app.progress.printable import on_one_line, printable
from app.progress.run_progress import RunProgress

_TEXT = "         | "
"""In front of the model's lines, so that none of them looks like one of this program's."""


class PlainLines:
    """Writes each line once it is whole; the text's last one when something else happens."""

    def __init__(self, progress: RunProgress) -> None:
        self._line = ""
        self._lost = False
        self._say(f"run {on_one_line(progress.run_id)} of {on_one_line(progress.agent)}: {wording.state(progress)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_line()

    def show(self, progress: RunProgress, news: News) -> None:
        if isinstance(news, Interrupted | Gap):
            self._lost = True
            return self._say(wording.trouble(news))
        if self._lost:
            self._lost = False
            self._say(f"connected, at event {news.id}")
        if news.name == "token":
            return self._text(str(news.data.get("text", "")))
        for line in _lines(progress, news):
            self._say(line)
        return None

    def _text(self, text: str) -> None:
        *lines, self._line = printable(self._line + text).split("\n")
        for line in lines:
            _write(_TEXT + line)

    def _say(self, line: str) -> None:
        self._end_line()
        _write(f"{time.strftime('%H:%M:%S')} {line}")

    def _end_line(self) -> None:
        if self._line:
            _write(_TEXT + self._line)
            self._line = ""


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _lines(progress: RunProgress, event: Event) -> list[str]:
    """What people are told of an event that is no text."""
    data = event.data
    match event.name:
        case "run.started":
            return [f"running, model {on_one_line(progress.model)}"]
        case "run.resumed" if progress.decided:
            return ["resumed after the decision"]
        case "run.resumed":
            return ["resumed by another worker; the text since the last step comes anew"]
        case "approval.required":
            return [wording.asked(progress.approvals[-1])]
        case "run.paused":
            return [wording.state(progress)]
        case "tool.started":
            return [f"tool {on_one_line(progress.tools[-1].name)} {wording.arguments(progress.tools[-1])}"]
        case "tool.finished":
            (tool,) = [tool for tool in progress.tools if tool.ended == event.id]
            return [f"tool {on_one_line(tool.name)} {wording.outcome(tool)}"]
        case "model.switched":
            names = (on_one_line(str(data.get(name))) for name in ("from", "to", "reason"))
            return ["model {} failed, {} continues: {}".format(*names)]
        case "usage":
            return [f"iteration {progress.calls[-1].iteration}: {wording.usage(progress)} so far"]
        case "run.finished" | "run.failed":
            return [wording.ending(progress)]
        case _:
            return []

"""A run's progress as a picture that changes in place, by rich."""

import time
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from app.progress import wording
from app.progress.calls import ToolCall
from app.progress.following import Gap, Interrupted, News
from app.progress.printable import on_one_line, printable
from app.progress.run_progress import RunProgress

_TOOLS = 8
"""The newest, while the run goes on."""
_COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "expired": "yellow", "ok": "green"}


class LiveView:
    """Draws eight times a second, from a thread of rich's own; the state's lists only grow or are replaced whole."""

    def __init__(self, progress: RunProgress, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._progress = progress
        self._trouble = ""
        self._begun = time.monotonic()
        self._spinner = Spinner("dots")
        self._live = Live(
            console=self._console, get_renderable=self._picture, refresh_per_second=8, transient=True, screen=False
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """What stays on the screen is the whole text, not the part that fits."""
        self._live.stop()
        self._console.print(self._still())

    def show(self, progress: RunProgress, news: News) -> None:
        self._trouble = wording.trouble(news) if isinstance(news, Interrupted | Gap) else ""

    def _picture(self) -> RenderableType:
        tools, asked = self._progress.tools[-_TOOLS:], self._asked()
        rows = self._console.height - len(tools) - len(asked) - 5
        return Group(self._head(), *_table(tools), *asked, *self._notice(), self._tail(rows))

    def _asked(self) -> list[RenderableType]:
        """The newest of the calls that wait for a person, each on a line of its own."""
        waiting = self._progress.approvals[-_TOOLS:] if self._progress.status == "waiting" else []
        return [Text(wording.asked(each), "yellow", no_wrap=True, overflow="ellipsis") for each in waiting]

    def _still(self) -> RenderableType:
        progress = self._progress
        last = [Text(wording.ending(progress), _COLOURS[progress.status])] if progress.over else self._notice()
        return Group(*_table(progress.tools), Text(printable(progress.text)), *last)

    def _head(self) -> RenderableType:
        progress = self._progress
        parts = [
            wording.state(progress),
            *([f"iteration {progress.iteration}"] if progress.model else []),
            progress.model,
        ]
        parts += [wording.usage(progress), wording.seconds(time.monotonic() - self._begun)]
        text = Text(" · ".join(on_one_line(part) for part in parts if part), "bold")
        self._spinner.text = Text.assemble(text, " ", (on_one_line(progress.run_id), "dim"))
        return self._spinner

    def _notice(self) -> list[RenderableType]:
        return [Text(self._trouble, "yellow")] if self._trouble else []

    def _tail(self, rows: int) -> RenderableType:
        """The end of the text, as far as it fits."""
        width, rows = max(20, self._console.width), max(3, rows)
        lines = Text(printable(self._progress.text[-width * rows :])).wrap(self._console, width)
        return Text("\n").join(lines[-rows:])


def _table(tools: list[ToolCall]) -> list[RenderableType]:
    if not tools:
        return []
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(no_wrap=True)
    for tool in tools:
        told = wording.outcome(tool) if tool.ended else wording.seconds(time.monotonic() - tool.begun_at)
        colour = _COLOURS.get(tool.status, "red" if tool.ended else "cyan")
        table.add_row(Text(on_one_line(tool.name), "bold"), Text(wording.arguments(tool)), Text(told, colour))
    return [table]

"""Watch a run until it is over."""

import os
import sys
from contextlib import aclosing

from app.progress.display import Display
from app.progress.events import Event
from app.progress.following import follow
from app.progress.json_lines import JsonLines
from app.progress.plain import PlainLines
from app.progress.run_progress import EXIT, RunProgress
from app.progress.service import Service


def is_plain(*, wanted: bool) -> bool:
    """Whether lines are shown instead of a picture that changes in place: a file or a pipe cannot have that."""
    return wanted or not sys.stdout.isatty() or "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"


async def watch(service: Service, run_id: str, *, plain: bool = False, as_json: bool = False) -> int:
    """Show the run's events until it is over; returns the exit status. Raises Refused and Unreachable."""
    progress = RunProgress.of(await service.get(f"/runs/{run_id}"))
    with _display(progress, plain=plain, as_json=as_json) as display:
        async with aclosing(follow(service, run_id)) as all_news:
            async for news in all_news:
                if isinstance(news, Event):
                    progress.take(news)
                display.show(progress, news)
    return EXIT[progress.status]


def _display(progress: RunProgress, *, plain: bool, as_json: bool) -> Display:
    if as_json:
        return JsonLines()
    if is_plain(wanted=plain):
        return PlainLines(progress)
    from app.progress.live import LiveView

    return LiveView(progress)

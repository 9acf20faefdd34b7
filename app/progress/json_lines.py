"""A run's events as JSON lines on stdout, for scripts; what happens to the connection is told on stderr."""

import json
import sys
from typing import Self

from app.progress import wording
from app.progress.following import Gap, Interrupted, News
from app.progress.run_progress import RunProgress


class JsonLines:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, _: RunProgress, news: News) -> None:
        if isinstance(news, Interrupted | Gap):
            print(wording.trouble(news), file=sys.stderr, flush=True)  # noqa: T201
        else:
            write_json({"id": news.id, "event": news.name, "data": news.data})


def write_json(value: object) -> None:
    """One line of ASCII: a terminal finds nothing in it to act on."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()

"""Display: whoever shows a run's progress."""

from typing import Protocol, Self

from app.progress.following import News
from app.progress.run_progress import RunProgress


class Display(Protocol):
    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, progress: RunProgress, news: News) -> None:
        """Called after each piece of news, with the progress that it is part of already."""

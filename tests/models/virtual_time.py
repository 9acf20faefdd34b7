"""An event loop whose time passes at once: minutes of waiting cost a test nothing, and happen in the same order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _AtOnce(selectors.DefaultSelector):
    """Instead of waiting for the next timer, moves the clock to it."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout:
            self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._at_once = _AtOnce()
        super().__init__(self._at_once)

    def time(self) -> float:
        return self._at_once.now


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, whose loop's clock begins at 0 and only moves while all its tasks wait."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)

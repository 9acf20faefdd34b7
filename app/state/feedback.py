"""What users say of their runs: a small record per run, under its user's name, that a mark is added to."""

from collections import deque
from typing import Any

import msgspec
from msgspec import Struct

from app.settings import Settings
from app.settings.kinds import DAY
from app.state.scripts import MARK_RUN
from app.state.store import Script, Store
from app.state.writes import BackgroundWrites

MOST_IN_PROCESS = 10_000
"""Records that a store in the process has; the oldest goes first."""


class Marks(Struct, frozen=True, omit_defaults=True):
    """What somebody says of a run; None: nothing."""

    completed: bool | None = None
    escalated: bool | None = None
    score: float | None = None
    comment: str | None = None


class KeptRun(Struct, frozen=True, omit_defaults=True):
    """A run that can be marked, with its marks."""

    agent: str
    trace_id: str = ""
    span_id: str = ""
    """Of its span, if it was traced."""
    completed: bool | None = None
    escalated: bool | None = None
    score: float | None = None
    comment: str | None = None
    was_escalated: bool = False
    """Whether it ever was marked so: it counts once."""


class Marked(Struct, frozen=True):
    """A run before and after it was marked."""

    before: KeptRun
    after: KeptRun


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(KeptRun, strict=False).decode


class Feedback:
    """Built once a process, where FEEDBACK_DAYS is not 0."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._seconds = settings.feedback_days * DAY
        self._mark = Script(store, MARK_RUN)
        self._writes = BackgroundWrites("feedback.run_lost")
        self._in_process: deque[str] | None = None if settings.redis_url else deque()

    def keep(self, user: str, run_id: str, run: KeptRun) -> None:
        """Remember the run. It leaves when this is called, and nobody waits for it."""
        key = _key(user, run_id)
        self._writes.add(self._store.call("SET", key, _encode(run), "EX", self._seconds))
        if self._in_process is not None:
            self._in_process.append(key)
            if len(self._in_process) > MOST_IN_PROCESS:
                self._writes.add(self._store.call("DEL", self._in_process.popleft()))

    async def mark(self, user: str, run_id: str, marks: Marks) -> Marked | None:
        """Put these marks in the place of earlier ones of their kind. None if the user has no such run.

        Raises StateUnavailable.
        """
        marked: Marked | None = await self._mark((_key(user, run_id),), _encode(marks), read=_marked)
        return marked

    async def aclose(self) -> None:
        """Wait for what is being written."""
        await self._writes.aclose()


def _key(user: str, run_id: str) -> str:
    return f"run:{{{user}}}:{run_id}"


def _marked(reply: Any) -> Marked | None:
    return None if reply is None else Marked(_decode(reply[0]), _decode(reply[1]))

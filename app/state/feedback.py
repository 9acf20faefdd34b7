"""What users say of their runs: a small record per run, under its user's name, that a mark is added to."""

from collections import OrderedDict
from time import monotonic
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from app.settings import Settings
from app.settings.kinds import DAY
from app.state.scripts import MARK_RUN
from app.state.store import Script, Store
from app.state.writes import BackgroundWrites

MOST_IN_PROCESS = 10_000
"""Records without a server; the oldest goes first."""


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
    """Where it was traced, as its span."""
    span_id: str = ""
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


class Feedback(Protocol):
    """Built once a process, where FEEDBACK_DAYS is not 0."""

    def keep(self, user: str, run_id: str, run: KeptRun) -> None:
        """Remember the run. It leaves when this is called, and nobody waits for it."""

    async def mark(self, user: str, run_id: str, marks: Marks) -> Marked | None:
        """Put these marks in the place of earlier ones of their kind. None if the user has no such run.

        Raises StateUnavailable.
        """

    async def aclose(self) -> None:
        """Wait for what is being written."""


def build_feedback(store: Store, settings: Settings) -> Feedback:
    seconds = settings.feedback_days * DAY
    return FeedbackInStore(store, seconds) if settings.redis_url else FeedbackInProcess(seconds)


class FeedbackInStore:
    """On a server, for all processes."""

    def __init__(self, store: Store, seconds: int) -> None:
        self._store = store
        self._seconds = seconds
        self._mark = Script(store, MARK_RUN)
        self._writes = BackgroundWrites("feedback.run_lost")

    def keep(self, user: str, run_id: str, run: KeptRun) -> None:
        self._writes.add(self._store.call("SET", _key(user, run_id), _encode(run), "EX", self._seconds))

    async def mark(self, user: str, run_id: str, marks: Marks) -> Marked | None:
        marked: Marked | None = await self._mark((_key(user, run_id),), _encode(marks), read=_marked)
        return marked

    async def aclose(self) -> None:
        await self._writes.aclose()


class FeedbackInProcess:
    """For one process without a server: a record there would cost 100 times as much as here."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._runs: OrderedDict[tuple[str, str], tuple[float, KeptRun]] = OrderedDict()

    def keep(self, user: str, run_id: str, run: KeptRun) -> None:
        self._runs[user, run_id] = monotonic() + self._seconds, run
        if len(self._runs) > MOST_IN_PROCESS:
            self._runs.popitem(last=False)

    async def mark(self, user: str, run_id: str, marks: Marks) -> Marked | None:
        until, before = self._runs.get((user, run_id), (0.0, None))
        if before is None or monotonic() >= until:
            return None
        after = replace(before, **{kind: mark for kind, mark in asdict(marks).items() if mark is not None})
        after = replace(after, was_escalated=bool(after.was_escalated or after.escalated))
        self._runs[user, run_id] = until, after
        return Marked(before, after)

    async def aclose(self) -> None:
        """Nothing is being written."""


def _key(user: str, run_id: str) -> str:
    return f"run:{{{user}}}:{run_id}"


def _marked(reply: Any) -> Marked | None:
    return None if reply is None else Marked(_decode(reply[0]), _decode(reply[1]))

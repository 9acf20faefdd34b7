"""The interface of a dialect: one API's requests, answers, events and errors as bytes."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from app.durable.keeping import Keeping
from app.errors import AppError
from app.runs.events import Answer, Event
from app.runs.request import RunRequest

Frame = Callable[[int, Event], bytes]
"""The event with this number as bytes; none for what this API does not show."""


KeptFrame = Callable[[int, bytes], bytes]
"""Likewise of an event as the store has it."""


class Asked(Struct, frozen=True):
    """A run that a body asks for, and the user that it names."""

    run: RunRequest
    user_id: str | None
    keeping: Keeping | None = None
    """How the run is kept; None: it is not, or as its agent has it."""


class ErrorDialect(Protocol):
    """Writes errors."""

    @property
    def problem_type(self) -> str:
        """The media type of an error."""

    def problem(self, error: AppError, path: str) -> tuple[int, bytes]:
        """The error's status and body; `path` is what the client asked for."""


class Dialect(ErrorDialect, Protocol):
    """Reads requests for runs and writes their events and answers."""

    @property
    def heartbeat(self) -> bytes:
        """Written when a stream has been silent for a while."""

    def request(self, body: bytes) -> Asked:
        """Raises InvalidRequest."""

    def frames(self, path: str) -> Frame:
        """Renders the events of one stream; the last event's frame ends with the end mark."""

    @property
    def end_mark(self) -> bytes:
        """Written where the stream of a run that is kept has no event left."""

    def kept_frames(self, path: str) -> KeptFrame:
        """As `frames`, of a run that is kept."""

    def whole(self, answer: Answer) -> bytes:
        """The whole answer, as JSON."""

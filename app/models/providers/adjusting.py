"""Requests to one model, adjusted to what its server has refused so far: one mechanism for all providers."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from app.errors import AppError, ContextTooLong
from app.models.estimates import estimated_input_tokens
from app.models.options import ModelOptions
from app.models.protocol import ModelRequest
from app.models.providers.answer_format import refusable
from app.models.providers.changes import NO_CHANGES, Changes
from app.models.providers.refusals import Said, change_for, words_of
from app.models.providers.tagged_text import TaggedText
from app.models.providers.windows import told_window
from app.telemetry.logs import log

MAX_SENDS = 6
"""Of one request, each without one more thing that the server refuses."""

_MARGIN = 64
_MINIMUM_OUTPUT = 16


class Attempt(Protocol):
    """The answer to one request."""

    text: TaggedText

    @property
    def written_bytes(self) -> int:
        """The size of all that the model wrote so far: what was told cannot be asked for again."""


A = TypeVar("A", bound=Attempt)
Send = Callable[[A, Changes, int], Awaitable[None]]
"""Sends a request with these changes and this many tokens at most, and reads the answer to it."""


class Adjusting:
    """What is learned of one model: `reasons`, `context_window`, and the changes that its server asks for."""

    def __init__(self, ref: str, options: ModelOptions, context_window: int | None, format_parameter: str) -> None:
        """`format_parameter` is what carries the schema of an answer."""
        self.context_window = options.context_window or context_window
        self.reasons = bool(options.reasons)
        self._ref = ref
        self._parameters = options.parameters
        self._format = format_parameter
        self._changes = NO_CHANGES
        self._fits = options.context_window is None  # no window is known that requests have to be cut to

    async def send(self, request: ModelRequest, begin: Callable[[], A], send: Send[A]) -> A:
        """The answer to the request, which is sent again while an error names what to change. Raises AppError."""
        changes = self._changes
        room: int | None = None
        for sends in range(1, MAX_SENDS + 1):
            answer = begin()
            try:
                try:
                    await send(answer, changes, self._max_tokens(request, changes, room))
                finally:
                    answer.text.tell_waiting()
                break
            except AppError as error:
                if answer.written_bytes or sends == MAX_SENDS:
                    raise
                if (left := self._room_told(error, request)) is not None and left != room:
                    room = left
                elif changed := change_for(error, changes, self._optional(request)):
                    changes = changed
                else:
                    raise
        if changes is not self._changes:
            self._keep(changes)
        return answer

    def known(self, request: ModelRequest) -> tuple[Changes, int]:
        """The changes that the server is known to ask for, and the maximum tokens, of a request sent another way."""
        return self._changes, self._max_tokens(request, self._changes, None)

    def _optional(self, request: ModelRequest) -> list[str]:
        return [*self._parameters, *refusable(request, self._format)]

    def _wanted(self, request: ModelRequest) -> int:
        return request.max_tokens + (request.max_reasoning_tokens if self.reasons else 0)

    def _max_tokens(self, request: ModelRequest, changes: Changes, room: int | None) -> int:
        wanted = self._wanted(request)
        if changes.max_output is not None:
            wanted = min(wanted, changes.max_output)
        if room is None and not self._fits and self.context_window is not None:
            room = self.context_window - estimated_input_tokens(request) - _MARGIN
        return wanted if room is None else max(1, min(wanted, room))

    def _room_told(self, error: AppError, request: ModelRequest) -> int | None:
        """The output that there is room for, if the error says how large the window is; it is remembered."""
        said = error.__cause__
        if not isinstance(error, ContextTooLong) or not isinstance(said, Said):
            return None
        window = told_window(words_of(said.body)[0])
        if window is None:
            return None
        if self.context_window is None or window.size < self.context_window:
            self.context_window = window.size
            log.warning("model.context_window_learned", model=self._ref, tokens=window.size)
        self._fits = False
        used = estimated_input_tokens(request) + _MARGIN if window.input is None else window.input
        room = window.size - used
        return room if _MINIMUM_OUTPUT <= room < self._wanted(request) else None

    def _keep(self, changes: Changes) -> None:
        """Remember what the server has answered to: the next request is sent like this at once."""
        before = self._changes.words()
        self._changes = changes
        if told := [words for words in changes.words() if words not in before]:
            log.warning("model.request_changed", model=self._ref, changes=told)


class Adjusted:
    """A model whose window and way to think are learned."""

    _adjusting: Adjusting

    @property
    def context_window(self) -> int | None:
        return self._adjusting.context_window

    @property
    def reasons(self) -> bool:
        return self._adjusting.reasons

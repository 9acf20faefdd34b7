"""A run's session: what the model is given of it, and what the run leaves in it."""

import time
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct, field

from app.access.principal import Principal
from app.agents.definition import Agent
from app.errors import AppError, GuardUnavailable, StateUnavailable
from app.messages import AssistantMessage, Message, Turn, UserMessage, size_of
from app.models.estimates import BYTES_A_TOKEN, estimated_message_tokens
from app.models.resilient import ResilientModel
from app.runs.clean_messages import clean_messages
from app.runs.history import History, trim, turns_of
from app.runs.shortening import shorten
from app.runs.window import room_for_history
from app.state.sessions import NEW, Recalled, Sessions
from app.telemetry.logs import log

if TYPE_CHECKING:
    from app.redaction.redactor import Redactor

_MICROS = 1_000_000
_MOST_AS_JSON = 6  # bytes of a character
_PLAIN = 2  # messages: a question and its answer


class Memory(Struct):
    """One run's. `degraded` names what it had to do without: `sessions`, or part of the `history`."""

    sessions: Sessions
    max_bytes: int
    """Of a turn that is kept."""
    agent: Agent
    principal: Principal
    session_id: str
    message_id: str
    question: UserMessage
    redactor: "Redactor | None" = None
    """Takes secrets out of what is kept."""
    degraded: list[str] = []
    model: str = ""
    """That answers, where it is not the one that was meant to."""
    history: list[Message] = []
    tainted: bool = False
    """Content that nobody vouches for may have had a part in what was said before."""
    _turns: list[Turn] = []
    _size: int = 0
    _began: int | None = NEW
    _created_at: float = field(default_factory=time.time)

    def ask(self) -> Coroutine[Any, Any, Recalled]:
        """Ask for the session's turns; the question leaves now, the answer is for `recall`."""
        return self.sessions.recall(self.principal.user, self.session_id)

    def recall(self, recalled: Recalled, model: ResilientModel, system: str, tool_bytes: int) -> None:
        """Use what was said before, as much as the agent and the model's window allow."""
        self._turns, self._began, self._size = recalled.turns, recalled.at, recalled.size
        self._created_at = recalled.at / _MICROS
        self.tainted = any(turn.tainted for turn in recalled.turns)
        self._use_turns(model, system, tool_bytes)

    def take(self, history: Sequence[Message], model: ResilientModel, system: str, tool_bytes: int) -> None:
        """Use what the caller says was said before."""
        self._turns = turns_of(history)
        self._size = sum(map(size_of, history))
        self._use_turns(model, system, tool_bytes)

    def _use_turns(self, model: ResilientModel, system: str, tool_bytes: int) -> None:
        most, window = self.agent.history_max_tokens, model.context_window
        if window is not None and self._turns:
            room = room_for_history(window, self.agent.limits.max_tokens, system, self.question, tool_bytes)
            if room < most:
                history = self._trim(room, model.ref)
                self._use(history._replace(shortened=history.left_out or history.shortened))
                return
        self._use(self._trim(most, model.ref))

    def resume(self, history: Sequence[Message], began: int | None, created_at: float, degraded: Sequence[str]) -> None:
        """Go on with what another process has recalled. A turn that it has kept already counts once."""
        self.history, self._began, self._created_at = list(history), began, created_at
        self._turns, self._size = turns_of(history), sum(map(size_of, history))
        self.degraded.extend(degraded)

    @property
    def place(self) -> tuple[int | None, float]:
        """The turn's in its session, for another process: when it began, by the store and in seconds."""
        if self._began is None:
            self._began = int(self._created_at * _MICROS)  # the same turn is not to be kept at two places
        return self._began, self._created_at

    def not_recalled(self, error: StateUnavailable) -> None:
        """Go on without what was said before."""
        self._began = None
        self.not_kept(error)

    def recall_less(self, model: str) -> Sequence[Message] | None:
        """The conversation with half as much history; None if there is none."""
        if not self.history:
            return None
        self._use(self._trim(estimated_message_tokens(self.history) // 2, model)._replace(shortened=True))
        return self.conversation

    @property
    def conversation(self) -> list[Message]:
        return [*self.history, self.question]

    def _trim(self, max_tokens: int, model: str) -> History:
        return trim(self._turns, max_tokens, question=self.question.content, model=model, size=self._size)

    def _use(self, history: History) -> None:
        self.history = history.messages
        if history.shortened and "history" not in self.degraded:
            self.degraded.append("history")

    def keep(self, messages: Sequence[Message], *, tainted: bool) -> Coroutine[Any, Any, bool]:
        """Keep the turn, which ends with these messages. It leaves now, and has to be awaited. Raises GuardUnavailable
        for one that cannot be looked at."""
        return self.sessions.append(
            self.principal.user,
            self.session_id,
            self._turn(messages, tainted),
            began=self._began,
            address=self.principal.address,
        )

    def keep_later(self, messages: Sequence[Message], *, tainted: bool) -> None:
        """Keep the turn of a run that was cancelled, in the background; not one that cannot be looked at."""
        try:
            turn = self._turn(messages, tainted)
        except GuardUnavailable:
            return
        self.sessions.append_later(
            self.principal.user,
            self.session_id,
            turn,
            began=self._began,
            address=self.principal.address,
        )

    def _turn(self, messages: Sequence[Message], tainted: bool) -> Turn:
        """As much of it as a session may hold, without secrets. Raises GuardUnavailable."""
        said: tuple[Message, ...] = (self.question, *messages)
        if self.redactor is not None:
            said = clean_messages(self.redactor, said)
        most = self.max_bytes
        turn = Turn(self.message_id, self._created_at, said, self.model, tainted)
        if len(said) == _PLAIN and isinstance(answer := said[1], AssistantMessage) and not answer.tool_calls:
            chars = len(said[0].content) + len(answer.content)
            if answer.extras is None and _MOST_AS_JSON * chars < most:
                return turn  # as most are
        tokens = most // BYTES_A_TOKEN
        while len(msgspec.json.encode(turn)) > most and tokens:
            turn = Turn(self.message_id, self._created_at, shorten(said, tokens), self.model, tainted)
            tokens //= 2
        return turn

    def not_kept(self, error: AppError) -> None:
        """Go on without the session."""
        if "sessions" not in self.degraded:
            self.degraded.append("sessions")
            log.warning("state.unavailable", error=repr(error.__cause__))

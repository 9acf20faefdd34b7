"""A run that is one model call without tools, made elsewhere: what is asked, what it may cost, what its answer is."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from app.agents.definition import APPROVED, RunLimits
from app.errors import ModelUnavailable
from app.limits.allowance import Amount
from app.messages import UserMessage
from app.models.prices import Price
from app.models.protocol import Completion, ModelRequest
from app.models.resilient import ResilientModel
from app.runs.context import RunContext
from app.runs.estimates import most_input_tokens, most_of_output, most_of_run
from app.runs.events import FinishReason
from app.runs.guarding import check_input
from app.runs.permits import Permits
from app.runs.plan import CallModel, Costs, Fail, Finish, answer_text, next_action
from app.runs.ration import Left
from app.runs.state import RunState, after
from app.runs.steps import Asked, ModelAnswered, ModelAsked
from app.runs.window import within_window
from app.tools.registry import Registry

_NO_TOOLS = Permits("", Registry(), APPROVED, "approve", pauses=False)

if TYPE_CHECKING:
    from app.redaction.redactor import Redactor


class Asking(Struct, frozen=True):
    """The call that answers one message, and the most that it may use."""

    request: ModelRequest
    most: Amount


class Answered(Struct, frozen=True):
    text: str
    finish_reason: FinishReason


class SingleCall(Struct, frozen=True):
    """What the calls for many messages have in common."""

    model: ResilientModel
    limits: RunLimits
    costs: Costs
    temperature: float | None
    response_format: Mapping[str, Any] | None
    redactor: "Redactor | None" = None
    check: Callable[[str], object] = lambda _: None
    """Raises UnsafeInput, GuardUnavailable."""

    @classmethod
    def of(cls, run: RunContext, price: Price) -> "SingleCall":
        """As the run asks, at this price."""
        asked = run.request
        temperature = run.agent.temperature if asked.temperature is None else asked.temperature
        costs = replace(run.costs, price=price)

        def check(message: str) -> object:
            return check_input(run.services, run.principal, run.agent, replace(asked, message=message))

        return cls(run.model, run.limits, costs, temperature, asked.response_format, run.redactor, check)

    def ask(self, message: str) -> Asking:
        """Raises RequestTooExpensive for one that may cost more than a run may, and what `check` raises."""
        self.check(message)
        action = self._next(_asked(message))
        if isinstance(action, Fail):
            raise action.error
        assert isinstance(action, CallModel)  # noqa: S101 - for the type checker: nothing has been answered
        question, beside = UserMessage(message), self.costs.beside_tokens
        answer, reasoning = action.answer, action.reasoning
        if (window := self.model.context_window) is not None:
            answer, reasoning = within_window(window, answer, reasoning, action.system, [question], beside)
        read = most_input_tokens(action.system, [question], beside)
        return Asking(
            ModelRequest(
                action.system, [question], (), answer, False, reasoning, self.temperature, self.response_format
            ),
            most_of_output(self.costs.price, read, answer + reasoning),
        )

    def answered(self, text: str, completion: Completion) -> Answered:
        """What a run with this reply would have answered. Raises ModelUnavailable where that is nothing,
        GuardUnavailable where it cannot be looked at."""
        if self.redactor is not None:
            text = self.redactor.text(text)
        reply = ModelAnswered(
            text, (), completion.stop_reason, completion.extras, completion.reasoning_tokens, completion.attempts
        )
        state = after(after(_asked(""), ModelAsked(False, "max_tokens")), reply)
        action = self._next(state)
        if isinstance(action, Finish):
            return Answered(answer_text(state, action.reason), action.reason)
        raise ModelUnavailable("The model gave an empty answer. Try again.", reason="empty_answer")

    def _next(self, state: RunState) -> object:
        tokens, nanos = most_of_run(self.costs.price, self.limits)
        left = Left(tokens, nanos, tokens, nanos, tight=False, refusal=None, asked=True)
        return next_action(state, self.limits, left, self.costs, _NO_TOOLS)


def _asked(message: str) -> RunState:
    return after(RunState(), Asked((UserMessage(message),)))

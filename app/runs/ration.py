"""What the next model call of a run may write: within the run's own limits and what is reserved for it, which grows."""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from app.agents.definition import RunLimits
from app.errors import LimitsUnavailable
from app.limits.allowance import Growth
from app.limits.reservation import Reservation
from app.messages import AssistantMessage, size_of
from app.models.prices import Price
from app.runs.estimates import USABLE_OUTPUT, most_input_usd, most_of_output, usd_per_output_token
from app.runs.events import FinishReason

Settle = Callable[[Growth | None], Coroutine[Any, Any, None]]
"""Records what the run has used and reserves more for it, in one round trip to the store."""

_COMFORTABLE = 1024
"""Tokens that a call can do with where a budget is short, before more is asked for."""

_RESULT_TOKENS = 2000
"""What a tool's result is expected to take at most, before it is there."""


class Ration(NamedTuple):
    """Tokens that a call may answer with, and think beside. `bound` is what ends the run if the answer is cut there."""

    answer: int
    reasoning: int
    bound: FinishReason


class Rations:
    """One run's. Asked before each model call, and once between two of them."""

    __slots__ = ("_limits", "_price", "_read", "_reservation", "_settle")

    def __init__(self, price: Price, limits: RunLimits, reservation: Reservation, settle: Settle) -> None:
        self._price = price
        self._limits = limits
        self._reservation = reservation
        self._settle = settle
        self._read = 0

    def of_call(self, read: int, answered: int, reasoned: int) -> Ration | None:
        """For a call that reads so many tokens, after the run's others have answered and reasoned with so many.

        None: less than that is reserved, `grown` may be asked.
        """
        self._read = read
        answer = self._limits.max_tokens - answered
        reasoning = max(0, self._limits.max_reasoning_tokens - reasoned) if self._limits.max_reasoning_tokens else 0
        room, bound = self._room(answer + reasoning)
        return Ration(answer, reasoning, bound) if room >= answer + reasoning else None

    async def grown(self, read: int, answered: int, reasoned: int, *, first: bool) -> Ration:
        """Like `of_call`, after more was asked for if that is worth it.

        Nothing to answer with: the call may not be made. Raises what refused the run's first call, or
        LimitsUnavailable.
        """
        self._read = read
        answer = self._limits.max_tokens - answered
        reasoning = max(0, self._limits.max_reasoning_tokens - reasoned)
        wanted = answer + reasoning
        room, bound = self._room(wanted)
        reservation = self._reservation
        if room < (min(wanted, _COMFORTABLE) if reservation.tight else wanted) and not reservation.allowance.whole:
            await self._settle(self._growth(read, wanted))
            room, bound = self._room(wanted)
            if reservation.refusal is not None and room < min(wanted, USABLE_OUTPUT):
                if first or isinstance(reservation.refusal, LimitsUnavailable):
                    reservation.refuse()
                room = 0
        reasoning = min(reasoning, room - min(answer, -(-room // 2)))
        return Ration(min(answer, room - reasoning), reasoning, bound)

    def between(self, message: AssistantMessage, answered: int, reasoned: int) -> Growth | None:
        """What the call after this message and its tools is expected to need; None if that is reserved."""
        allowance = self._reservation.allowance
        if allowance.whole:
            return None
        answer = self._limits.max_tokens - answered
        wanted = max(0, answer) + max(0, self._limits.max_reasoning_tokens - reasoned)
        read = self._read + size_of(message) + _RESULT_TOKENS * len(message.tool_calls)
        growth = self._growth(read, wanted)
        covered = allowance.tokens >= growth.wanted[0] and allowance.nanos >= growth.wanted[1]
        return None if covered else growth

    def _growth(self, read: int, write: int) -> Growth:
        allowance = self._reservation.allowance
        tokens, nanos = most_of_output(self._price, read, write)
        wanted = (min(tokens, allowance.most_tokens), min(nanos, allowance.most_nanos))
        tokens, nanos = most_of_output(self._price, read, min(write, USABLE_OUTPUT))
        return Growth(wanted, (min(tokens, wanted[0]), min(nanos, wanted[1])))

    def _room(self, wanted: int) -> tuple[int, FinishReason]:
        """How much the model may write such that the call stays within what is reserved, and what bounds it."""
        allowance, read = self._reservation.allowance, self._read
        by_tokens = min(wanted, allowance.tokens - read)
        by_cost = allowance.affordable(most_input_usd(self._price, read), usd_per_output_token(self._price, read))
        return (int(by_cost), "max_cost") if by_cost < by_tokens else (by_tokens, "max_tokens")

"""What the next model call of a run may write: within the run's own limits and what is reserved for it, which grows."""

from msgspec import Struct

from app.errors import AppError, LimitsUnavailable
from app.limits.allowance import Growth
from app.limits.reservation import Reservation
from app.models.prices import Price
from app.runs.estimates import USABLE_OUTPUT, Bound, most_of_output, room_for_output

_COMFORTABLE = 1024
"""Tokens that a call can do with where a budget is short, before more is asked for."""


class Left(Struct, frozen=True):
    """What a run may still use."""

    tokens: int
    nanos: int
    most_tokens: int
    """By its own limits."""
    most_nanos: int
    tight: bool
    """A budget had less than was wanted."""
    refusal: AppError | None
    """Why a budget or the store gave no more, when last asked."""
    asked: bool
    """More was asked for since the last model call."""

    @property
    def whole(self) -> bool:
        """Whether all that the run may use is reserved, or nothing has to be."""
        return self.tokens >= self.most_tokens and self.nanos >= self.most_nanos


def left_of(reservation: Reservation, *, asked: bool) -> Left:
    allowance = reservation.allowance
    return Left(
        allowance.tokens,
        allowance.nanos,
        allowance.most_tokens,
        allowance.most_nanos,
        reservation.tight,
        reservation.refusal,
        asked,
    )


class Ration(Struct, frozen=True):
    """Tokens that a call may answer with, and think beside. `bound` is what ends the run if the answer is cut there."""

    answer: int
    reasoning: int
    bound: Bound


def ration_of(price: Price, left: Left, read: int, wanted: Ration, *, first: bool) -> Ration | Growth | AppError:
    """For a call that reads at most so many tokens: what it may write, what to reserve before that is known, or why
    it may not be made. Nothing to answer with: what is left does not allow for the call.
    """
    tokens = wanted.answer + wanted.reasoning
    room, bound = room_for_output(price, left.tokens, left.nanos, read, tokens)
    if room >= tokens:
        return Ration(wanted.answer, wanted.reasoning, bound)
    if not (left.asked or left.whole) and room < (min(tokens, _COMFORTABLE) if left.tight else tokens):
        return growth_for(price, left, read, tokens)
    if left.refusal is not None and room < min(tokens, USABLE_OUTPUT):
        if first or isinstance(left.refusal, LimitsUnavailable):
            return left.refusal
        room = 0
    reasoning = min(wanted.reasoning, room - min(wanted.answer, -(-room // 2)))
    return Ration(min(wanted.answer, room - reasoning), reasoning, bound)


def growth_for(price: Price, left: Left, read: int, write: int) -> Growth:
    """What to reserve for a call that reads and writes so many tokens, and the least that is of use to it."""
    tokens, nanos = most_of_output(price, read, write)
    wanted = (min(tokens, left.most_tokens), min(nanos, left.most_nanos))
    tokens, nanos = most_of_output(price, read, min(write, USABLE_OUTPUT))
    return Growth(wanted, (min(tokens, wanted[0]), min(nanos, wanted[1])))

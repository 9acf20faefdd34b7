"""Estimated usage of calls that were cut: nobody counted, and they may have been billed."""

from math import ceil

from msgspec import Struct
from msgspec.structs import replace

from app.messages import Usage
from app.models.estimates import estimated_input_tokens, estimated_tokens
from app.models.failure_table import class_of, rule_of
from app.models.pace import Pace
from app.models.protocol import ModelRequest

READ_TOKENS_A_SECOND = 10_000
"""What hosted models read, in the middle of their range."""


class Heard(Struct, frozen=True):
    """What a model had written when its call was cut."""

    written: str
    untold: int
    """Pieces after that, about a token each, which cannot be told yet."""
    reasoned: bool
    silent_seconds: float
    """Until its first text or reasoning."""
    seconds: float


def used_when_cut(
    request: ModelRequest, heard: Heard, error: BaseException, pace: Pace, *, reasons: bool
) -> Usage | None:
    """Estimated usage of a failed or cancelled call, or None if it never reached its provider or was refused.

    A stream tells what the model wrote, except for reasoning that its provider keeps to itself. A plain call tells
    nothing: the time it took, at the `pace` of the model's other calls, is what it can have written.
    """
    told = estimated_tokens(heard.written) + heard.untold
    if not (told or rule_of(error).pays == "uncertain"):
        return None
    maximum = request.max_tokens + request.max_reasoning_tokens
    if not request.stream:
        told = max(told, pace.written(heard.seconds))
    elif reasons and not heard.reasoned:
        told += min(pace.written(heard.silent_seconds), request.max_reasoning_tokens)
    return Usage(estimated_input_tokens(request), min(told, maximum))


def done_by_then(usage: Usage, error: BaseException, seconds: float, *, heard: bool) -> Usage:
    """The part of an estimate that budgets are charged which the caller shares with others.

    Whoever opens calls and leaves them at once pays for the whole prompt, as a provider may charge for it. If others
    were to pay for it too, they could be kept out at the price of a connection each. So for a call that its caller left
    before the model was `heard`, they are charged what it can have read in that time: to use up what is theirs takes as
    long as to use it.
    """
    if heard or class_of(error) != "cancelled":
        return usage
    return replace(usage, input_tokens=min(usage.input_tokens, ceil(seconds * READ_TOKENS_A_SECOND)))

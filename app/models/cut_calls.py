"""Estimated usage of calls that were cut: nobody counted, and they may have been billed."""

from msgspec import Struct

from app.messages import Usage
from app.models.estimates import estimated_input_tokens, estimated_tokens
from app.models.failure_table import rule_of
from app.models.pace import Pace
from app.models.protocol import ModelRequest


class Heard(Struct, frozen=True):
    """What a model had written when its call was cut."""

    written: str
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
    told = estimated_tokens(heard.written)
    if not (told or rule_of(error).pays == "uncertain"):
        return None
    maximum = request.max_tokens + request.max_reasoning_tokens
    if not request.stream:
        told = max(told, pace.written(heard.seconds))
    elif reasons and not heard.reasoned:
        told += min(pace.written(heard.silent_seconds), request.max_reasoning_tokens)
    return Usage(estimated_input_tokens(request), min(told, maximum))

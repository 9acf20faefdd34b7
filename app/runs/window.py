"""A model's context window, where it is known: the room in it for a session's history and for an answer."""

from collections.abc import Sequence

from app.messages import Message, size_of_text
from app.models.estimates import BYTES_A_TOKEN, estimated_message_tokens

_LEAST_SHARE = 4
"""A quarter of the window at most is kept free for an answer that may be longer, before the history has to go."""

_STEPS = 16
"""Of the lengths that questions are rounded up to, in a window."""


def room_for_history(window: int, answer: int, system: str, question: Message, tool_bytes: int) -> int:
    """Tokens that are left for messages before the question; by the estimate of `estimates`.

    Questions of about the same length leave the same room: what is kept of the history would change with each.
    """
    step = max(1, window // _STEPS)
    asked = -(-estimated_message_tokens([question]) // step) * step
    return max(0, window - _fixed(system, tool_bytes) - asked - min(answer, window // _LEAST_SHARE))


def within_window(
    window: int, answer: int, reasoning: int, system: str, messages: Sequence[Message], tool_bytes: int
) -> tuple[int, int]:
    """The tokens of an answer and its reasoning such that they fit behind what the model reads.

    Servers such as vLLM refuse a request whose prompt and `max_tokens` together are more than the window.
    """
    free = window - _fixed(system, tool_bytes) - estimated_message_tokens(messages)
    free = max(free, window // (2 * _LEAST_SHARE))  # the estimate may be too high; if not, the provider says so
    if answer + reasoning <= free:
        return answer, reasoning
    reasoning = min(reasoning, free // 2)
    return min(answer, free - reasoning), reasoning


def _fixed(system: str, tool_bytes: int) -> int:
    return -(-(size_of_text(system) + tool_bytes) // BYTES_A_TOKEN)

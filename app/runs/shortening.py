"""Makes messages shorter: without what only their provider reads, or with their texts cut in the middle."""

from collections.abc import Sequence

from msgspec.structs import replace

from app.messages import AssistantMessage, Message, ToolMessage, size_of, size_of_text
from app.models.estimates import BYTES_A_TOKEN, TOKENS_A_MESSAGE, estimated_message_tokens
from app.safety.fence import parts_of

_SHORTEST = 120
"""Bytes of a text that is cut: its mark, and something on both sides."""


def without_extras(messages: tuple[Message, ...], *, but_of: str = "") -> tuple[Message, ...]:
    """The messages without what models but this one want to be given back with them."""
    for message in messages:
        if type(message) is AssistantMessage and message.extras is not None:
            return tuple([_bare(message, but_of) for message in messages])
    return messages


def _bare(message: Message, but_of: str) -> Message:
    if isinstance(message, AssistantMessage) and message.extras is not None and message.extras.origin != but_of:
        return replace(message, extras=None)
    return message


def shorten(messages: tuple[Message, ...], max_tokens: int) -> tuple[Message, ...]:
    """A turn that takes at most so many tokens by the estimate of `sizes`: the longest texts are cut in the middle.

    Where that is not enough its tool calls go; where not even the question and the answer fit, so do they.
    """
    messages = without_extras(messages)
    for shorter in (messages, (messages[0], messages[-1])):
        if estimated_message_tokens(shorter) <= max_tokens:
            return shorter
        longest = _longest_text(shorter, max_tokens)
        if longest >= _SHORTEST:
            return tuple([_cut_message(message, longest) for message in shorter])
    return ()


def shorten_results(messages: Sequence[Message]) -> list[Message] | None:
    """The messages with tool results of half their length; None where there is nothing to shorten."""
    shorter = [_with_half(message) if isinstance(message, ToolMessage) else message for message in messages]
    return None if shorter == list(messages) else shorter


def _with_half(message: ToolMessage) -> Message:
    size = size_of_text(message.content)
    return message if size < 2 * _SHORTEST else _cut_message(message, size // 2)


def _cut_message(message: Message, max_bytes: int) -> Message:
    """With a text of at most so many bytes. A fence stays whole; where it has no room, so goes all that is in it."""
    fence = parts_of(message.content) if type(message) is ToolMessage and message.untrusted else None
    if fence is None:
        return replace(message, content=cut_middle(message.content, max_bytes))
    room = max_bytes - size_of_text(fence.begin) - size_of_text(fence.end)
    if room >= size_of_text(fence.inside):
        return message
    if room < _SHORTEST:
        return replace(message, content=_mark(fence.inside))
    return replace(message, content=f"{fence.begin}{cut_middle(fence.inside, room)}{fence.end}")


def _mark(text: str, part: str = "") -> str:
    return f"[… {part}these {len(text)} characters {'is' if part else 'are'} left out …]"


def _longest_text(messages: Sequence[Message], max_tokens: int) -> int:
    """The most bytes that each text may have for all of it to fit."""
    texts = [size_of_text(message.content) for message in messages]
    others = [size_of(message) - text for message, text in zip(messages, texts, strict=True)]

    def tokens(longest: int) -> int:
        sizes = (min(text, longest) + other for text, other in zip(texts, others, strict=True))
        return sum(TOKENS_A_MESSAGE + -(-size // BYTES_A_TOKEN) for size in sizes)

    low, high = 0, max(texts)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if tokens(middle) <= max_tokens else (low, middle - 1)
    return low


def cut_middle(text: str, max_bytes: int) -> str:
    """The beginning and the end of a text that is longer than that, and a mark where its middle was."""
    if size_of_text(text) <= max_bytes:
        return text
    mark = f"\n{_mark(text, 'the middle of ')}\n"
    room = max(0, max_bytes - size_of_text(mark))
    encoded = text.encode("utf-8", "replace")
    head = encoded[: room - room // 2].decode(errors="ignore")
    tail = encoded[len(encoded) - room // 2 :].decode(errors="ignore")
    return head + mark + tail

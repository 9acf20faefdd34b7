"""About how many tokens something takes, where no tokenizer is asked and no provider counts.

Four bytes of UTF-8 a token is right within a third for English and for CJK. Four times as many tokens are never too
few: no tokenizer makes more tokens of a text than it has bytes. What must never be too low is in app/runs/estimates.py.
"""

from collections.abc import Iterable

import msgspec

from app.messages import Message, size_of, size_of_text
from app.models.protocol import ModelRequest

BYTES_A_TOKEN = 4
TOKENS_A_MESSAGE = 4
"""What a chat template puts around a message."""


def estimated_tokens(text: str) -> int:
    return tokens_of_bytes(size_of_text(text))


def tokens_of_bytes(size: int) -> int:
    """Rounded up."""
    return -(-size // BYTES_A_TOKEN)


def estimated_message_tokens(messages: Iterable[Message]) -> int:
    """Of messages with their tool calls."""
    return sum([TOKENS_A_MESSAGE - (-size_of(message) // BYTES_A_TOKEN) for message in messages])


def estimated_input_tokens(request: ModelRequest) -> int:
    """Of the system prompt, the messages and the tools' descriptions."""
    tools = sum(
        estimated_tokens(tool.name + tool.description) + len(msgspec.json.encode(tool.parameters)) // BYTES_A_TOKEN
        for tool in request.tools
    )
    if request.response_format is not None:
        tools += tokens_of_bytes(len(msgspec.json.encode(request.response_format)))
    return estimated_tokens(request.system) + estimated_message_tokens(request.messages) + tools

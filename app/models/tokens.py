"""An estimate of tokens, for where no provider counts them."""

from collections.abc import Sequence

import msgspec

from app.messages import AssistantMessage, Message, size_of_text
from app.models.protocol import ModelRequest

BYTES_A_TOKEN = 4
MESSAGE_TOKENS = 4  # what a chat template puts around a message


def estimated_tokens(text: str) -> int:
    """One token for four bytes of UTF-8, rounded up: right within a third for English and for CJK."""
    return -(-size_of_text(text) // BYTES_A_TOKEN)


def estimated_input_tokens(request: ModelRequest) -> int:
    """Of the system prompt, the messages and the tools' descriptions."""
    tools = sum(
        estimated_tokens(tool.name + tool.description) + len(msgspec.json.encode(tool.parameters)) // BYTES_A_TOKEN
        for tool in request.tools
    )
    return estimated_tokens(request.system) + _of_messages(request.messages) + tools


def _of_messages(messages: Sequence[Message]) -> int:
    total = 0
    for message in messages:
        total += MESSAGE_TOKENS + estimated_tokens(message.content)
        if isinstance(message, AssistantMessage) and message.tool_calls:
            total += len(msgspec.json.encode(message.tool_calls)) // BYTES_A_TOKEN
    return total

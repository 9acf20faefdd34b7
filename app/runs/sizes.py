"""About how many tokens messages take, where no tokenizer is asked."""

from collections.abc import Iterable

from app.messages import Message, size_of

BYTES_A_TOKEN = 4
TOKENS_A_MESSAGE = 4


def estimate_tokens(messages: Iterable[Message]) -> int:
    """Four UTF-8 bytes a token, and four tokens around each message.

    An estimate that needs no tokenizer; English text comes out close, other scripts a little high. Four times as many
    are never too few: app/runs/estimates.py counts on it.
    """
    return sum([TOKENS_A_MESSAGE + -(-size_of(message) // BYTES_A_TOKEN) for message in messages])

"""The most that a model call, and a run, may come to: what is reserved before it and what it is held to.

No tokenizer makes more tokens of a text than it has bytes in UTF-8. That is three to four times the real count of
English, which is the price of never being wrong; providers add some tokens of their own around what they are given.
"""

from collections.abc import Collection, Iterable, Mapping
from math import ceil, floor, inf
from typing import Any, Literal

import msgspec

from app.agents.definition import RunLimits
from app.limits.allowance import Amount
from app.messages import NANOS, Message, size_of, size_of_text
from app.models.estimates import BYTES_A_TOKEN
from app.models.prices import MILLION, Price
from app.tools.tool import Tool

USABLE_OUTPUT = 256
"""Tokens that a model call has to be able to write, where fewer are left in a budget, to be worth its input."""

Bound = Literal["max_tokens", "max_cost"]

_AROUND_A_MESSAGE = 16
_AROUND_TOOLS = 1024  # what providers tell a model about calling tools at all: a few hundred tokens


def most_input_tokens(system: str, messages: Iterable[Message], tool_tokens: int) -> int:
    total = _AROUND_A_MESSAGE + size_of_text(system) + tool_tokens
    return total + sum([_AROUND_A_MESSAGE + size_of(message) for message in messages])


def most_tool_tokens(tools: Collection[Tool]) -> int:
    """Of the tools' descriptions."""
    return sum(map(_tool_size, tools)) + _AROUND_TOOLS if tools else 0


def most_format_tokens(schema: Mapping[str, Any] | None) -> int:
    """Of the JSON schema that the answer has to follow, and of what providers tell a model about it."""
    return 0 if schema is None else len(msgspec.json.encode(schema)) + _AROUND_TOOLS


def most_history_tokens(estimated_tokens: int) -> int:
    """For messages that `trim` has cut to so many tokens by its estimate."""
    return estimated_tokens * BYTES_A_TOKEN


def most_input_usd(price: Price, tokens: int) -> float:
    """Read afresh, from a cache, or written to one, whichever is dearest."""
    rates = price.rates(tokens)
    return tokens * max(rates.input, rates.cache_read, rates.cache_write) / MILLION


def usd_per_output_token(price: Price, input_tokens: int) -> float:
    return price.rates(input_tokens).output / MILLION


def most_of_output(price: Price, read: int, write: int) -> Amount:
    """Tokens and nano-dollars of a call that reads and writes at most so many tokens."""
    output = ceil(write * usd_per_output_token(price, read) * NANOS)
    return read + write, ceil(most_input_usd(price, read) * NANOS) + output + 1  # 1: of rounding


def room_for_output(price: Price, tokens: int, nanos: int, read: int, write: int) -> tuple[int, Bound]:
    """How much of `write` a call that reads so much may write such that it stays within these tokens and nano-dollars,
    and which of the two bounds it."""
    by_tokens = min(write, tokens - read)
    left = nanos - ceil(most_input_usd(price, read) * NANOS)
    a_token = usd_per_output_token(price, read) * NANOS
    by_cost = floor(left / a_token) if a_token > 0 else inf if left >= 0 else 0
    return (int(by_cost), "max_cost") if by_cost < by_tokens else (by_tokens, "max_tokens")


def most_of_run(price: Price, limits: RunLimits) -> Amount:
    """Tokens and nano-dollars."""
    return _most(price, limits, limits.max_run_tokens)


def most_of_call(price: Price, limits: RunLimits, input_tokens: int) -> Amount:
    """Tokens and nano-dollars of the first call, which may read so many tokens."""
    return _most(price, limits, min(limits.max_run_tokens, input_tokens + limits.max_output_tokens))


def least_of_call(price: Price, limits: RunLimits, input_tokens: int) -> Amount:
    """Tokens and nano-dollars with which the first call, which reads at least so many tokens, is worth beginning."""
    return most_of_output(price, input_tokens, min(limits.max_output_tokens, USABLE_OUTPUT))


def _most(price: Price, limits: RunLimits, tokens: int) -> Amount:
    written = min(tokens, limits.max_output_tokens)
    usd = max(
        most_input_usd(price, tokens),
        most_input_usd(price, tokens - written) + written * usd_per_output_token(price, tokens),
    )
    return tokens, ceil(min(usd, limits.max_cost_usd) * NANOS)


def _tool_size(tool: Tool) -> int:
    return size_of_text(tool.name) + size_of_text(tool.description) + len(msgspec.json.encode(tool.parameters))

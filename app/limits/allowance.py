"""What one run may still use: the part that is reserved for it, which grows, within the run's own limits."""

from math import ceil, floor, inf

from msgspec import Struct

from app.messages import NANOS

Amount = tuple[int, int]
"""Tokens and nano-dollars."""


class Growth(Struct, frozen=True):
    """What a run wants to hold for its next model call, and the least that is of use to it."""

    wanted: Amount
    least: Amount


class Allowance:
    """Counted down by what each model call used, or may have used. No call may exceed what is reserved."""

    __slots__ = ("most_nanos", "most_tokens", "nanos", "tokens")

    def __init__(self, reserved: Amount, most: Amount) -> None:
        """`most` is what the run's own limits leave it."""
        self.tokens, self.nanos = reserved
        self.most_tokens, self.most_nanos = most

    @property
    def whole(self) -> bool:
        """Whether all that the run may use is reserved, or nothing has to be."""
        return self.tokens >= self.most_tokens and self.nanos >= self.most_nanos

    def release(self) -> None:
        """Let the run use all that its own limits allow: no budget is asked."""
        self.tokens, self.nanos = self.most_tokens, self.most_nanos

    def affordable(self, input_usd: float, usd_per_token: float) -> float:
        """How many tokens a call may write whose input costs at most `input_usd`; below 1: the call does not fit."""
        left = self.nanos - ceil(input_usd * NANOS)
        if usd_per_token > 0:
            return floor(left / (usd_per_token * NANOS))
        return inf if left >= 0 else 0

    def spend(self, tokens: int, nanos: int) -> None:
        self.tokens = max(0, self.tokens - tokens)
        self.nanos = max(0, self.nanos - nanos)
        self.most_tokens = max(0, self.most_tokens - tokens)
        self.most_nanos = max(0, self.most_nanos - nanos)

"""What one run may still use. It starts with what was reserved for it and is never exceeded."""

from math import ceil, floor, inf

from app.limits.budgets import NANOS


class Allowance:
    """Counted down by what each model call used, or may have used."""

    __slots__ = ("nanos", "tokens")

    def __init__(self, tokens: int, nanos: int) -> None:
        self.tokens = tokens
        self.nanos = nanos

    def affordable(self, input_usd: float, usd_per_token: float) -> float:
        """How many tokens a call may write whose input costs at most `input_usd`; below 1: the call does not fit."""
        left = self.nanos - ceil(input_usd * NANOS)
        if usd_per_token > 0:
            return floor(left / (usd_per_token * NANOS))
        return inf if left >= 0 else 0

    def spend(self, tokens: int, nanos: int) -> None:
        self.tokens = max(0, self.tokens - tokens)
        self.nanos = max(0, self.nanos - nanos)

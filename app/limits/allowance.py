"""What one run may still use. It starts with what was reserved for it and is never exceeded."""

from math import ceil, floor

from app.limits.budgets import NANOS


class Allowance:
    """Counted down by what each model call used, or may have used."""

    __slots__ = ("nanos", "tokens")

    def __init__(self, tokens: int, nanos: int) -> None:
        self.tokens = tokens
        self.nanos = nanos

    def most_output(self, wanted: int, input_tokens: int, input_usd: float, usd_per_token: float) -> int:
        """How many tokens the next call may write, at most `wanted`; less than 1: the call does not fit.

        `input_tokens` and `input_usd` are the most that its input may come to.
        """
        most = min(wanted, self.tokens - input_tokens)
        left = self.nanos - ceil(input_usd * NANOS)
        if usd_per_token > 0:
            most = min(most, floor(left / (usd_per_token * NANOS)))
        elif input_usd > 0 and left < 0:
            return 0
        return most

    def spend(self, tokens: int, nanos: int) -> None:
        self.tokens = max(0, self.tokens - tokens)
        self.nanos = max(0, self.nanos - nanos)

"""What one run may still use: the part that is reserved for it, which grows, within the run's own limits."""

from msgspec import Struct

Amount = tuple[int, int]
"""Tokens and nano-dollars."""


class Growth(Struct, frozen=True):
    """What a run wants to hold for its next model call, and the least that is of use to it."""

    wanted: Amount
    least: Amount


class Allowance(Struct):
    """Counted down by what each model call used, or may have used. No call may exceed what is reserved."""

    tokens: int
    nanos: int
    most_tokens: int
    """That the run's own limits leave it."""
    most_nanos: int

    @property
    def whole(self) -> bool:
        """Whether all that the run may use is reserved, or nothing has to be."""
        return self.tokens >= self.most_tokens and self.nanos >= self.most_nanos

    def release(self) -> None:
        """Let the run use all that its own limits allow: no budget is asked."""
        self.tokens, self.nanos = self.most_tokens, self.most_nanos

    def spend(self, tokens: int, nanos: int) -> None:
        self.tokens = max(0, self.tokens - tokens)
        self.nanos = max(0, self.nanos - nanos)
        self.most_tokens = max(0, self.most_tokens - tokens)
        self.most_nanos = max(0, self.most_nanos - nanos)

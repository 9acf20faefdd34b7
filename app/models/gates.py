"""What a call passes before its model is asked: each gate may refuse it, at no cost to the provider."""

from typing import Literal, Protocol


class Resting(Protocol):
    """Knows that the provider has asked to be left alone, with one credential."""

    def check(self) -> None:
        """Raises ModelRateLimited or ModelUnavailable with the reason `resting` while the model rests."""

    def rest(self, seconds: float | None, reason: Literal["rate_limited", "overloaded"] = "rate_limited") -> None:
        """Leave the model alone; None: the provider named no time."""

    def answered(self) -> None:
        """The model has answered."""

    def state(self) -> tuple[object, float] | None:
        """Why it rests, and for how many seconds yet."""


class Entered(Protocol):
    """A call that the breaker let in: good at its first content, bad at a failure that counts, left at its end."""

    def good(self) -> None: ...

    def bad(self) -> None: ...

    def leave(self) -> None: ...


class Breaker(Protocol):
    """Knows that the model keeps failing."""

    def enter(self) -> Entered:
        """Raises ModelUnavailable with the reason `breaker_open` while it is open."""

    async def probe(self) -> None:
        """The model's own probe, whose answers it learns from."""

    async def aclose(self) -> None: ...


class Bulkhead(Protocol):
    """Bounds how many calls of the model are open at once in this process."""

    async def enter(self, ends_at: float = ...) -> None:
        """Take a place. Raises ModelUnavailable with the reason `busy` where there is none in time."""

    def leave(self) -> None:
        """Give it back."""

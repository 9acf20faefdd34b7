"""What a guard says of a text."""

from typing import Literal, Protocol

from msgspec import Struct

Source = Literal["user", "system", "tool", "document"]


class Verdict(Struct, frozen=True):
    kind: Literal["allow", "flag", "block"]
    rule: str = ""
    """The id of the rule that decided: a label of metrics."""
    category: str = ""
    """Its class, such as `override`: what a caller is told."""


ALLOWED = Verdict("allow")


class InputGuard(Protocol):
    """Synchronous, without I/O: microseconds for a message."""

    @property
    def policy(self) -> str:
        """The version of its rules."""

    def check(self, text: str, source: Source) -> Verdict:
        """Does not raise for any text; raises GuardUnavailable where it cannot look."""

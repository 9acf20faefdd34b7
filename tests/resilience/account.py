"""What a provider knows of the calls of one of its models."""

from dataclasses import dataclass, field

from tests.resilience.acts import Act, Call


@dataclass
class Account:
    """Of one model. Tokens are billed as they are written."""

    begun: list[float] = field(default_factory=list)
    """When each call came, in time.monotonic()."""
    told_calls: int = 0
    """Answered whole, with the usage."""
    told_input: int = 0
    told_output: int = 0
    cut_calls: int = 0
    """Billed, and ended before the caller could know for what."""
    cut_input: int = 0
    cut_output: int = 0
    refused: int = 0
    """Not billed."""
    left: int = 0
    """Calls that the caller hung up on."""

    @property
    def calls(self) -> int:
        return len(self.begun)

    def calls_between(self, start: float, end: float) -> int:
        return sum(start <= at < end for at in self.begun)

    def settle(self, call: Call, act: Act, written: int, *, whole: bool, left: bool) -> None:
        """Put a call that is over to the account."""
        self.left += left
        if whole and act.told:
            self.told_calls += 1
            self.told_input += call.input_tokens
            self.told_output += written
        elif written or act.billed:
            self.cut_calls += 1
            self.cut_input += call.input_tokens
            self.cut_output += written
        else:
            self.refused += 1

"""What an agent is: its name, what it is told, and the tools it may call."""

from dataclasses import dataclass

from msgspec import Struct


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    system_prompt: str
    tools: tuple[str, ...]


class RunLimits(Struct, frozen=True):
    """What ends a run before its answer does."""

    max_iterations: int
    max_tokens: int  # answered by the run's model calls, together
    max_run_tokens: int  # read and written, together
    max_cost_usd: float
    max_reasoning_tokens: int = 0  # thought by them beside their answers, together

    @property
    def max_output_tokens(self) -> int:
        return self.max_tokens + self.max_reasoning_tokens

    def answered(self, output_tokens: int, reasoning_tokens: int) -> int:
        """The part of a run's output that counts as its answer: all but the reasoning that has its own bound."""
        return output_tokens - min(reasoning_tokens, self.max_reasoning_tokens)

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
    max_tokens: int  # written by the run's model calls, together
    max_run_tokens: int  # read and written, together
    max_cost_usd: float

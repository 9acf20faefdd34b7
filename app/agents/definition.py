"""What an agent is: what it is told, the models and tools it has, and its bounds."""

from dataclasses import dataclass, field
from typing import Literal

from msgspec import Struct

from app.tools.tool import Risk, WhenTainted


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


RESERVE_SECONDS = 1.0
"""Of a run's time, that no model but the last is given."""

MINIMUM_SECONDS = 0.05
"""Of a run's time, for each of its models: a connection and a refusal take no longer."""


def least_seconds(models: int) -> float:
    """The shortest deadline of a run that lets the last of so many models be reached when the others fall silent."""
    return 0.0 if models < 2 else RESERVE_SECONDS + MINIMUM_SECONDS * models


Override = Literal["system", "temperature", "max_tokens", "response_format"]
"""What a request may set for itself, where its agent allows it."""

HARMLESS: frozenset[Override] = frozenset({"temperature", "max_tokens", "response_format"})
"""What agents allow unless they say otherwise: all that does not change what the agent is."""


OnDisconnect = Literal["cancel", "continue"]
"""What becomes of a run with a resumable stream when its reader leaves."""


class Caching(Struct, frozen=True):
    """How an agent's answers are given again to equal requests."""

    enabled: bool = False
    public: bool = False
    """Users share them."""
    ttl_seconds: float = 3600
    stale_seconds: float = 0
    """How long after that they are given when no model can answer."""


UNCACHED = Caching()

InputGuarding = Literal["block", "flag", "off"]
"""What becomes of input that a rule finds unsafe."""


class Guarding(Struct, frozen=True):
    """How what comes in is checked."""

    input: InputGuarding = "block"
    judge: bool = True
    """Whether GUARD_MODEL, where it is set, judges it too."""


class Approving(Struct, frozen=True):
    """Which calls of tools a person approves, and who may."""

    risk: Risk | Literal["never"] = "high"
    """From this risk of a tool on, each call."""
    tools: frozenset[str] = frozenset()
    """And each call of these."""
    requester: bool = False
    """Whether whoever asked for the run may approve its calls."""


GUARDED, APPROVED = Guarding(), Approving()


@dataclass(frozen=True, slots=True, eq=False)
class Agent:
    """Compared by identity: one that was read anew is another."""

    name: str
    system_prompt: str
    tools: tuple[str, ...]
    limits: RunLimits
    """Of which a request may ask for less."""
    timeout_seconds: float
    history_max_tokens: int
    description: str = ""
    models: tuple[str, ...] = ()
    """References, the first of which answers unless a request names another; none: all models there are."""
    temperature: float | None = None
    """None: the model's own."""
    public: bool = True
    """Whether every caller may use it; if not, it takes the scope `agents:NAME`."""
    allows: frozenset[Override] = field(default=HARMLESS)
    cache: Caching = UNCACHED
    resumable: bool = False
    """Whether its streams can be resumed, unless a request says otherwise."""
    on_disconnect: OnDisconnect = "cancel"
    guarding: Guarding = GUARDED
    approving: Approving = APPROVED
    when_tainted: WhenTainted = "approve"
    """Of tools that do more than read, and do not say so themselves."""

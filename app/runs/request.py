"""What a caller asks of a run."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from app.limits.limiter import CHAT
from app.messages import Message


class RunRequest(Struct, frozen=True):
    """None stands for the agent's value, which is also the most that can be asked for."""

    message: str
    session_id: str | None = None
    model: str | None = None
    agent: str | None = None
    tools: tuple[str, ...] | None = None
    max_iterations: int | None = None
    max_cost_usd: float | None = None
    stream: bool = False
    suggestions: bool = False
    history: tuple[Message, ...] | None = None
    """What was said before, instead of a session's turns."""
    system: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    response_format: Mapping[str, Any] | None = None
    """The JSON schema of the answer."""
    cache_control: Literal["", "no-cache", "no-store"] = ""
    """`no-cache`: not answered from the cache; `no-store`: and the answer is not kept there."""
    remembered: bool = True
    """What is said is kept as a turn of the session."""
    operation: str = CHAT  # what the caller's limits know it as

    @property
    def overrides(self) -> bool:
        """Whether it sets what an agent may not allow to be set."""
        return (
            self.system is not None
            or self.temperature is not None
            or self.max_tokens is not None
            or self.response_format is not None
        )

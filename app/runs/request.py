"""What a caller asks of a run."""

from msgspec import Struct

from app.limits.limiter import CHAT


class RunRequest(Struct, frozen=True):
    """None stands for the setting's value, which is also the most that can be asked for."""

    message: str
    session_id: str | None = None
    model: str | None = None
    agent: str | None = None
    tools: tuple[str, ...] | None = None
    max_iterations: int | None = None
    max_cost_usd: float | None = None
    stream: bool = False
    suggestions: bool = False
    operation: str = CHAT  # what the caller's limits know it as

"""What a run's events have told of its calls, each with the number of the event that told it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any


@dataclass
class ToolCall:
    """`ended` is the number of its last event, 0 while it runs."""

    number: int
    id: str
    name: str
    arguments: Mapping[str, Any]
    begun_at: float = field(default_factory=monotonic)
    ended: int = 0
    status: str = ""
    latency_ms: float = 0.0
    error: str = ""


@dataclass
class ModelCall:
    """A model call that ended; `number` is that of its event."""

    number: int
    iteration: int
    tokens: int
    cost_usd: float


@dataclass
class AskedApproval:
    """A tool call that a person decides on; `number` is that of its event."""

    number: int
    id: str
    tool: str
    arguments: Mapping[str, Any]
    detail: str
    expires_at: str

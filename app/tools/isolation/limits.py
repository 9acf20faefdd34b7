"""What the process of a tool may use."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    memory_bytes: int = 536_870_912
    """Of address space."""
    cpu_seconds: int = 30


DEFAULT_LIMITS = ProcessLimits()

"""Settings of runs: the system prompt, agents and maximums of a run."""

from pathlib import Path

from pydantic import BaseModel, Field

from app.settings.kinds import GIB, MAX_TOKENS, Prompt, Seconds


class RunSettings(BaseModel):
    system_prompt: Prompt = Field(
        "You are a helpful assistant. Use a tool where it gives a better answer than you can give from memory.",
        description="What the agent is told before every conversation",
    )
    system_prompt_file: Path | None = Field(
        None, description="File with the system prompt, in UTF-8, for one longer than a variable (128 KiB) takes"
    )
    agents_dir: Path | None = Field(
        None, description="Folder with an agent in each `*.yaml`; read anew when it changes. See docs/agents.md"
    )
    max_message_chars: int = Field(10_000, ge=1, le=GIB, description="Maximum length of a message, in characters")
    max_iterations: int = Field(10, ge=1, le=100, description="Maximum model calls of a run")
    max_tokens: int = Field(
        4096, ge=1, le=MAX_TOKENS, description="Maximum tokens a run's model calls may answer with, together"
    )
    max_reasoning_tokens: int = Field(
        4096, ge=0, le=MAX_TOKENS, description="Maximum tokens a run may reason with beside its answers"
    )
    max_cost_usd: float = Field(
        0.5, gt=0, le=10_000, allow_inf_nan=False, description="Maximum cost of a run, in US dollars"
    )
    max_run_tokens: int = Field(
        50_000, ge=1, le=MAX_TOKENS, description="Maximum tokens a run may read and write, together"
    )
    run_timeout_seconds: Seconds = Field(120, description="Deadline of a run")
    tool_result_chars: int = Field(
        2_000,
        ge=0,
        le=1_000_000,
        description="Maximum characters of a tool's result, or error, that callers are shown; 0 shows none",
    )
    history_max_tokens: int = Field(
        4096,
        ge=0,
        le=MAX_TOKENS,
        description="Maximum of a session's history that a run is given, in tokens; it is cut to half when it is full",
    )

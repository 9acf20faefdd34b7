"""Settings of model calls that fail: retries, deadlines, the breaker, and how many calls may be open at once."""

from typing import Literal

from pydantic import BaseModel, Field

from app.settings.kinds import Rate, Seconds


class ResilienceSettings(BaseModel):
    model_retries: int = Field(
        2,
        ge=0,
        le=10,
        description="Retries of a model call that failed, before the next model is called; see docs/models.md",
    )
    retry_after_max_seconds: Seconds = Field(
        20, description="Longest Retry-After of a provider that is waited for; a longer one is a failure at once"
    )
    connect_timeout_seconds: Seconds = Field(5, description="Deadline for a connection to a model's server")
    first_content_timeout_seconds: Seconds = Field(
        30,
        description="Deadline for the first text, reasoning or tool arguments of a streamed call; the time that Ollama "
        "takes to load the model is not counted",
    )
    first_content_timeout_per_1000_tokens: float = Field(
        1, ge=0, le=3600, allow_inf_nan=False, description="Seconds added to that deadline for each 1,000 input tokens"
    )
    content_gap_timeout_seconds: Seconds = Field(
        15, description="Longest silence within the content of a streamed call"
    )
    breaker: bool = Field(True, description="Whether a model that keeps failing is left alone for a while")
    max_concurrent_calls: Rate = Field(
        None, description="Maximum calls of one model at once in each process; `off`: any number"
    )
    max_queued_calls: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Maximum calls that wait for MAX_CONCURRENT_CALLS; further ones are answered 503",
    )
    stream_recovery: Literal["fail", "continue"] = Field(
        "fail",
        description="When a stream breaks after text went out: `fail` ends the run, `continue` has the next model go "
        "on with the text",
    )

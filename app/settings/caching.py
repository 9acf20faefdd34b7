"""Settings of caches: answers that are given again, and prompts that providers keep."""

from typing import Literal

from pydantic import BaseModel, Field

from app.settings.kinds import DAY, Seconds


class CacheSettings(BaseModel):
    answer_cache: bool = Field(
        False, description="Whether equal requests are answered from a cache, by agents whose file does not say"
    )
    answer_cache_public: bool = Field(
        False,
        description="Whether users share cached answers, by agents whose file does not say; only for "
        "agents whose answers are the same for everyone",
    )
    answer_cache_ttl_seconds: Seconds = Field(3600, description="How long a cached answer is given again")
    stale_if_error_seconds: float = Field(
        0,
        ge=0,
        le=30 * DAY,
        description="How long after that it may still be given when no model can answer, marked as degraded; 0: never",
    )
    similar_answers: Literal["never", "shadow", "serve"] = Field(
        "never",
        description="Cached answers to nearly equal questions of the same user: `shadow` only counts what would "
        "have been a hit. Needs EMBEDDING_MODEL and an agent with the answer cache on",
    )
    similar_threshold: float = Field(
        0.95, ge=0.5, le=1, description="Minimum cosine similarity of two questions that are nearly equal"
    )
    embedding_model: str = Field("", description="Model that embeds questions: `ollama/NAME` or `openai/NAME`")
    prompt_cache_ttl: Literal["5m", "1h"] = Field(
        "5m",
        description="How long Anthropic keeps the start of a conversation; writing costs 1.25 and 2 times the input",
    )

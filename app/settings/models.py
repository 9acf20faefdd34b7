"""Settings of models and their servers."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from app.settings.kinds import MAX_TOKENS, Duration, Models, OpenAIUrl, Seconds, ServerUrl


class ModelSettings(BaseModel):
    models: Models = Field(
        ("demo",),
        description="Models by preference, comma-separated: `demo`, `ollama/NAME`, `anthropic/NAME`, `openai/NAME`. "
        "The first answers, the next ones when it fails; a request may name one",
    )
    ollama_api_base: ServerUrl = Field(
        "http://127.0.0.1:11434", description="Ollama server; a `/v1` or `/api` at its end is taken off"
    )
    ollama_num_ctx: int = Field(8192, ge=256, le=MAX_TOKENS, description="Context window asked of Ollama, in tokens")
    ollama_keep_alive: Duration = Field("5m", description="How long Ollama keeps the model loaded after a call")
    anthropic_api_key: SecretStr | None = Field(None, description="Key for `anthropic/…` models")
    anthropic_base_url: ServerUrl = Field(
        "https://api.anthropic.com",
        description="Anthropic's API, or any server that speaks it; a `/v1` at its end is taken off",
    )
    openai_api_key: SecretStr | None = Field(None, description="Key for `openai/…` models, if the server wants one")
    openai_base_url: OpenAIUrl = Field(
        "https://api.openai.com/v1", description="Any OpenAI-compatible server, with its `/v1`"
    )
    model_options: str = Field(
        "",
        description="Options of models, as JSON by their references in MODELS: "
        '`{"openai/NAME": {"tools": false, "context_window": 8192, "reasons": true, "price": {"input": 1, "output": 2, '
        '"cache_read": 0.1, "cache_write": 1}, "parameters": {"temperature": 0}}}`, all optional; prices are in US '
        "dollars a million tokens, parameters go into each request",
    )
    model_tiers: str = Field(
        "",
        description="Models that `auto` chooses from, as JSON: "
        '`{"simple": "REF", "medium": "REF", "complex": "REF"}`, references of MODELS; `medium` may be left out',
    )
    router_model: str = Field(
        "",
        description="Reference of the model that `auto` asks where its rules are unsure; empty: the `complex` one "
        "answers",
    )
    router_timeout_seconds: Seconds = Field(2, description="Deadline for what ROUTER_MODEL is asked")
    unknown_price: Literal["error", "allow"] = Field(
        "error", description="`allow` starts with models that have no known price and counts them as $0"
    )

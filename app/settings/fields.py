"""The settings themselves, each once."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings.kinds import (
    Duration,
    Level,
    List,
    Models,
    OpenAIUrl,
    Port,
    Rate,
    RedisUrl,
    ServerUrl,
    Share,
    Tokens,
    Usd,
    Ways,
    Word,
)
from app.urls import check_proxy


class Settings(BaseSettings):
    """Read with `load()`, which turns a bad value into a ConfigurationError that names it."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on; the image sets 0.0.0.0")
    port: Port = Field(8000, description="Port of the API")
    metrics_port: Port = Field(9090, description="Port of `/metrics`, never the API's own")

    models: Models = Field(
        ("demo",),
        description="Models by preference, comma-separated: `demo`, `ollama/NAME`, `anthropic/NAME`, `openai/NAME`. "
        "The first answers unless a request names another",
    )
    ollama_api_base: ServerUrl = Field(
        "http://127.0.0.1:11434", description="Ollama server; a `/v1` or `/api` at its end is taken off"
    )
    ollama_num_ctx: int = Field(8192, ge=256, description="Context window asked of Ollama, in tokens")
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
    unknown_price: Literal["error", "allow"] = Field(
        "error", description="`allow` starts with models that have no known price and counts them as $0"
    )

    redis_url: RedisUrl = Field(
        None,
        description="Valkey or Redis, `redis://` or `rediss://`; unset: an in-process server, for one process",
    )
    redis_ca_file: Path | None = Field(
        None,
        description="Certificate in PEM of the authority behind a `rediss://` server; unset: the public authorities",
    )
    tls_strict: bool = Field(
        True,
        description="Refuse servers whose certificates lack what RFC 5280 asks for (key usage, key identifiers), as "
        "Python 3.13 does; `false` takes them if they verify otherwise",
    )
    auth: Ways = Field(
        ("none",),
        description="Who may call: holders of an `api-key`, of a `jwt`, or of either (`api-key,jwt`); "
        "`none` lets everyone in, and takes their word for who they are",
    )
    api_keys_file: Path | None = Field(
        None, description="API keys by their hashes, one JSON object a line; read anew when it changes"
    )
    jwt_issuer: Word | None = Field(None, description="What a token's `iss` must be")
    jwt_audience: Word | None = Field(None, description="What a token's `aud` must have")
    jwt_algorithms: List = Field(
        ("RS256",),
        description="Signatures taken, comma-separated, of one kind: HS256, HS384, HS512 with a secret, or RS…, PS…, "
        "ES… and EdDSA with public keys",
    )
    jwt_secret: SecretStr | None = Field(None, description="Secret of HMAC signatures, of at least 32 bytes")
    jwt_public_key: str | None = Field(None, description="Public key of signatures: PEM, or the path of a PEM file")
    jwt_jwks_url: str | None = Field(None, description="Where the issuer publishes its public keys, `https://`")
    jwt_jwks_allow_http: bool = Field(False, description="Take public keys over plain http from other hosts too")
    jwt_scope_claim: Word = Field("scope", description="The claim with the scopes, a text with spaces or a list")
    jwt_team_claim: Word = Field("team", description="The claim with the team")
    jwt_tier_claim: Word = Field("tier", description="The claim with the tier")
    trusted_proxies: List = Field(
        (),
        description="Addresses (`10.1.2.3`) or networks of the proxies whose X-Forwarded-For is believed, "
        "comma-separated; without it a caller's address is that of the connection",
    )
    limits: str = Field(
        "",
        description="Maximum requests a minute and runs at once, as JSON: "
        '`{"global": LIMIT, "tiers": {NAME: {"user": LIMIT, "chat": LIMIT, "agent": LIMIT, "sessions": LIMIT, '
        '"usage": LIMIT, "tools": {NAME: LIMIT}}}}`, all optional, each LIMIT `{"per_minute": N, "concurrent": N}`; '
        "callers without credentials have the tier `anonymous`, users without a tier `default`, which stands for each "
        "tier not named, as the tool `*` does for tools",
    )
    anonymous_per_minute: Rate = Field(
        6000,
        description="Requests a minute of one address without credentials to each process; `off`: any number",
    )
    anonymous_concurrent: Rate = Field(
        100,
        description="Requests at once of one address without credentials in each process; `off`: any number",
    )
    refused_per_minute: Rate = Field(
        3000,
        description="Refused requests a minute of one address or authenticated user to each process, 8 KiB of a body "
        "counting as one more; above that all are answered 429 unread; `off`: any number",
    )
    budget_user_day_usd: Usd = Field(None, description="Most a user may spend in a UTC day, in US dollars")
    budget_user_day_tokens: Tokens = Field(None, description="Most tokens a user may use in a UTC day")
    budget_team_month_usd: Usd = Field(None, description="Most a team may spend in a UTC month, in US dollars")
    budget_team_month_tokens: Tokens = Field(None, description="Most tokens a team may use in a UTC month")
    budget_global_day_usd: Usd = Field(
        100, description="Most all together may spend in a UTC day, in US dollars; `off`: no such budget"
    )
    budget_global_day_tokens: Tokens = Field(None, description="Most tokens all together may use in a UTC day")
    budget_anonymous_share: Share = Field(
        0.25,
        description="Share of the budgets of all together that one address without credentials may use; `off`: all",
    )
    limits_fail: Literal["open", "closed"] | None = Field(
        None,
        description="When the store does not answer: `open` goes on without limits, `closed` answers 503. "
        "Unset: closed for what a budget has to admit, else open",
    )
    lease_seconds: float = Field(
        45, ge=1, le=60, description="After how long what a dead process held for its runs is free again"
    )
    usage_days: int = Field(
        35, ge=0, le=400, description="How many days the usage of each user is kept; 0 records none"
    )
    cors_origins: List = Field((), description="Origins that browsers may call from, comma-separated; `*` for all")
    root_path: str = Field(
        "",
        description="Path that the service is installed under behind a proxy, such as `/agents`; a trusted proxy's "
        "X-Forwarded-Prefix goes first",
    )
    docs: bool = Field(True, description="Pages at `/docs` and `/redoc`; `/openapi.json` is there without them too")

    system_prompt: str = Field(
        "You are a helpful assistant. Use a tool where it gives a better answer than you can give from memory.",
        description="What the agent is told before every conversation",
    )
    system_prompt_file: Path | None = Field(
        None, description="File with the system prompt, in UTF-8, for one longer than a variable (128 KiB) takes"
    )
    agents_dir: Path | None = Field(
        None, description="Folder with an agent in each `*.yaml`; read anew when it changes. See docs/agents.md"
    )
    max_message_chars: int = Field(10_000, ge=1, description="Longest message, in characters")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body, in bytes")
    max_bodies_bytes: int = Field(
        67_108_864,
        ge=1024,
        description="Largest request bodies being received, together, in bytes; a body of up to 16 KiB is not counted",
    )
    max_head_bytes: int = Field(
        65_536, ge=1024, description="Largest request line and headers, and largest trailers, in bytes"
    )
    max_connections: int = Field(
        2000, ge=1, le=1_000_000, description="Maximum of open connections; further ones are answered 503"
    )
    max_active_requests: int = Field(
        1200,
        ge=1,
        le=1_000_000,
        description="Maximum of requests being answered, probes left out; further ones are answered 503, and from "
        "90 % on `/ready` says 503",
    )
    head_timeout_seconds: float = Field(
        10, gt=0, allow_inf_nan=False, description="Deadline for the request line and headers"
    )
    body_timeout_seconds: float = Field(30, gt=0, allow_inf_nan=False, description="Deadline for the body")
    write_timeout_seconds: float = Field(
        60, gt=0, allow_inf_nan=False, description="How long a client may read nothing before its connection is cut"
    )
    max_iterations: int = Field(10, ge=1, le=100, description="Most model calls a run may make")
    max_tokens: int = Field(4096, ge=1, description="Maximum tokens a run's model calls may answer with, together")
    max_reasoning_tokens: int = Field(4096, ge=0, description="Maximum tokens a run may reason with beside its answers")
    max_cost_usd: float = Field(0.5, gt=0, le=10_000, description="Most that a run may cost, in US dollars")
    max_run_tokens: int = Field(
        50_000, ge=1, le=100_000_000, description="Most tokens a run may read and write, together"
    )
    run_timeout_seconds: float = Field(120, gt=0, allow_inf_nan=False, description="Deadline of a run")
    tool_result_chars: int = Field(
        2_000,
        ge=0,
        le=1_000_000,
        description="Maximum characters of a tool's result, or error, that callers are shown; 0 shows none",
    )
    history_max_tokens: int = Field(
        4096, ge=0, description="Most of a session's history that a run is given, in tokens"
    )
    session_ttl_seconds: int = Field(604_800, ge=1, description="How long an unused session is kept")
    session_max_turns: int = Field(100, ge=1, description="Most turns kept a session; the oldest go first")
    session_max_bytes: int = Field(
        262_144,
        ge=4_096,
        description="Maximum bytes kept of a session; the oldest turns go first, and a larger turn is shortened",
    )
    sessions_per_user: int = Field(
        1_000,
        ge=1,
        description="Maximum number of sessions kept of a user, or of the anonymous callers at an address; "
        "the oldest go first",
    )
    session_bytes_per_user: int = Field(
        33_554_432, ge=4_096, description="Maximum bytes of these sessions together; the oldest go first"
    )

    drain_seconds: float = Field(
        25, ge=0, allow_inf_nan=False, description="How long open requests may go on after SIGTERM"
    )
    log_level: Level = Field("info", description="Least level that is logged")
    log_format: Literal["json", "console"] = Field("json", description="`console` for people")
    log_content: bool = Field(False, description="Also log what users, models and tools say")

    @model_validator(mode="after")
    def _check_proxies(self) -> Self:
        providers = {ref.partition("/")[0] for ref in self.models}
        if "ollama" in providers:
            check_proxy(self.ollama_api_base)
        if "openai" in providers:
            check_proxy(self.openai_base_url)
        if "anthropic" in providers:
            check_proxy(self.anthropic_base_url, any_http=True)
        return self

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.port and self.port == self.metrics_port:
            raise ValueError("METRICS_PORT: must differ from PORT")
        return self

"""The servers that are measured: how each is started, and what is sent to it."""

import json
import os
import secrets
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import litellm
from bench.process import SERVER_CPU, Child, free_port, wait_until_ready
from bench.wire import MODELS

AGENT_API = "agent-api"
LIMITED = "agent-api-limits"
UNLIMITED = "agent-api-no-limits"
RESILIENT = "agent-api-resilience"
UNRESILIENT = "agent-api-no-resilience"
CACHED = "agent-api-cache"
UNWATCHED = "agent-api-no-telemetry"
RESUMABLE = "agent-api-resumable"
WORKERLESS = "agent-api-no-workers"
UNGUARDED = "agent-api-no-safety"
AIOHTTP = "floor-aiohttp"
HTTPX = "floor-httpx"
LITELLM = "litellm"
RAW = "raw"
NAMES = (
    AGENT_API,
    LIMITED,
    UNLIMITED,
    RESILIENT,
    UNRESILIENT,
    CACHED,
    UNWATCHED,
    RESUMABLE,
    WORKERLESS,
    UNGUARDED,
    AIOHTTP,
    HTTPX,
    LITELLM,
    RAW,
)
PROVIDERS = ("openai", "ollama", "anthropic")
_SERVER = frozenset({SERVER_CPU})
_START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What the servers talk to: the addresses of the upstream, the store and the span collector."""

    upstream: str
    redis_port: int
    otlp_port: int
    provider: str
    directory: Path
    profile: Path | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A running server under test; `body(model, stream)` is what `bench.load` sends it."""

    name: str
    child: Child
    port: int
    plain_path: str
    stream_path: str
    body: Callable[[str, bool], str]
    log: Path | None = None
    metrics_port: int | None = None
    headers: dict[str, str] = field(default_factory=dict)


def start(name: str, neighbours: Neighbours, stack: ExitStack) -> Target:
    """Starts one of `NAMES` on the server's core; it is ready when this returns and ends with `stack`."""
    if name in _SETTINGS:
        return _agent_api(name, neighbours, stack)
    if name == LITELLM:
        return _litellm(neighbours, stack)
    port = free_port()
    paths = ("/chat", "/chat/stream")
    if name == RAW:
        argv = [sys.executable, "-m", "bench.upstream", str(port)]
        paths = ("/v1/chat/completions", "/v1/chat/completions")
    else:
        library = {AIOHTTP: "aiohttp", HTTPX: "httpx"}[name]
        argv = [sys.executable, "-m", "bench.floor", library, neighbours.upstream, str(port)]
    log = neighbours.directory / f"{name}-{port}.log"
    child = stack.enter_context(Child(name, argv, cpus=_SERVER, log=log))
    ready = "/" if name == RAW else "/openapi.json"
    wait_until_ready(child, f"http://127.0.0.1:{port}{ready}", _START_SECONDS)
    return Target(name, child, port, *paths, body=_completion, log=log)


def _completion(model: str, stream: bool) -> str:
    messages = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Question %(turn)08d: what is the answer?"},
    ]
    body = {"model": model, "messages": messages, "user": "u%(session)08d"}
    return json.dumps(body | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {}))


_NEVER_REACHED = {"per_minute": 1_000_000, "concurrent": 100_000}
_SETTINGS: dict[str, dict[str, str]] = {
    AGENT_API: {},  # as it comes: usage is recorded; the models have no price, so no budget is asked
    LIMITED: {
        "LIMITS": json.dumps(
            {
                "global": _NEVER_REACHED,
                "tiers": {"default": {"user": _NEVER_REACHED, "chat": _NEVER_REACHED}},
            }
        ),
        "BUDGET_USER_DAY_TOKENS": str(10**12),
        "BUDGET_GLOBAL_DAY_TOKENS": str(10**12),
    },
    UNLIMITED: {"USAGE_DAYS": "0"},
    RESILIENT: {"MODELS": "%(provider)s/fast,%(provider)s/hold"},
    UNRESILIENT: {"MODELS": "%(provider)s/fast", "MODEL_RETRIES": "0", "BREAKER": "false"},
    CACHED: {"ANSWER_CACHE": "true"},
    UNWATCHED: {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "LOG_LEVEL": "error"},  # metrics cannot be switched off
    RESUMABLE: {},  # its streams ask to be kept
    WORKERLESS: {"WORKERS": "0"},
    UNGUARDED: {"GUARD_INPUT": "off", "REDACT": "none", "AUDIT": "false"},
}
_FIRST_MODEL = (RESILIENT, UNRESILIENT)  # asked for no model by its name: such a request has no other to fall back to


def _agent_api(name: str, neighbours: Neighbours, stack: ExitStack) -> Target:
    """Everything on: sessions in the store, metrics, JSON logs to a file, spans sampled at 10 %."""
    port, metrics_port = free_port(), free_port()
    provider = neighbours.provider
    env = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(neighbours.directory),
        "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
        "PORT": str(port),
        "METRICS_PORT": str(metrics_port),
        "MODELS": ",".join(f"{provider}/{model}" for model in MODELS),
        "UNKNOWN_PRICE": "allow",
        "OPENAI_BASE_URL": f"{neighbours.upstream}/v1",
        "OPENAI_API_KEY": "bench",
        "ANTHROPIC_BASE_URL": neighbours.upstream,
        "ANTHROPIC_API_KEY": "bench",
        "OLLAMA_API_BASE": neighbours.upstream,
        "ANONYMOUS_PER_MINUTE": "off",  # all callers have one address
        "ANONYMOUS_CONCURRENT": "off",
        "BUDGET_ANONYMOUS_SHARE": "off",
        "REDIS_URL": f"redis://127.0.0.1:{neighbours.redis_port}/0",
        "LOG_FORMAT": "json",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{neighbours.otlp_port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.1",
    }
    env |= {setting: value % {"provider": provider} for setting, value in _SETTINGS[name].items()}
    log = neighbours.directory / f"agent-api-{port}.log"
    argv: list[str | Path] = [sys.executable, "-m", "app"]
    if neighbours.profile:
        argv = [sys.executable, "-m", "bench.sampler", neighbours.profile]
    child = stack.enter_context(Child(name, argv, cpus=_SERVER, env=env, cwd=neighbours.directory, log=log))
    wait_until_ready(child, f"http://127.0.0.1:{port}/ready", _START_SECONDS)

    def body(model: str, stream: bool) -> str:
        request: dict[str, str | bool] = {
            "message": "Question %(turn)08d: what is the answer?",
            "session_id": "s%(session)08d",
        }
        if name == RESUMABLE and stream:
            request |= {"resumable": True}
        return json.dumps(request if name in _FIRST_MODEL else request | {"model": f"{provider}/{model}"})

    return Target(name, child, port, "/chat", "/chat/stream", body, log=log, metrics_port=metrics_port)


def _litellm(neighbours: Neighbours, stack: ExitStack) -> Target:
    port = free_port()
    log = neighbours.directory / f"litellm-{port}.log"
    key = f"sk-{secrets.token_hex(16)}"
    argv, env = litellm.command(neighbours.directory, neighbours.upstream, port, key)
    child = stack.enter_context(Child(LITELLM, argv, cpus=_SERVER, env=env, log=log))
    wait_until_ready(child, f"http://127.0.0.1:{port}/health/liveliness", _START_SECONDS)
    path = "/v1/chat/completions"
    headers = {"authorization": f"Bearer {key}"}
    return Target(LITELLM, child, port, path, path, body=_completion, log=log, headers=headers)

"""Each setting at its edges: what works starts, what never can work stops the start and is named."""

import os
from pathlib import Path
from typing import Any

import pytest

from app.errors import ConfigurationError
from app.main import create_app
from app.settings import Settings, load
from app.telemetry.logs import configure
from tests.logged import restored_log

NUMBERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "PORT": ("0", "65535", ("-1", "65536")),
    "METRICS_PORT": ("0", "65535", ("-1", "65536")),
    "MAX_BODY_BYTES": ("1024", str(2**30), ("1023", str(2**30 + 1))),
    "MAX_BODIES_BYTES": ("1024", str(2**40), ("1023", str(2**40 + 1))),
    "MAX_HEAD_BYTES": ("1024", "16777216", ("1023", "16777217")),
    "MAX_CONNECTIONS": ("1", "1000000", ("0", "1000001")),
    "MAX_ACTIVE_REQUESTS": ("1", "1000000", ("0", "1000001")),
    "HEAD_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "BODY_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "WRITE_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "DRAIN_SECONDS": ("0", "86400", ("-1", "86401")),
    "OLLAMA_NUM_CTX": ("256", "100000000", ("255", "100000001")),
    "SESSION_TTL_SECONDS": ("1", "315360000", ("0", "315360001", "1" + "0" * 21)),
    "SESSION_MAX_TURNS": ("1", "1000000", ("0", "1000001")),
    "SESSION_MAX_BYTES": ("4096", str(2**28), ("4095", str(2**28 + 1))),
    "SESSIONS_PER_USER": ("1", "1000000", ("0", "1000001")),
    "SESSION_BYTES_PER_USER": ("4096", str(2**40), ("4095", str(2**40 + 1))),
    "ANONYMOUS_PER_MINUTE": ("1", "1000000", ("0", "1000001")),
    "ANONYMOUS_CONCURRENT": ("1", "1000000", ("0", "1000001")),
    "REFUSED_PER_MINUTE": ("1", "1000000", ("0", "1000001")),
    "BUDGET_USER_DAY_USD": ("1e-9", "1000000", ("0", "-1", "1000001")),
    "BUDGET_USER_DAY_TOKENS": ("1", "1000000000000", ("0", "1000000000001")),
    "BUDGET_TEAM_MONTH_USD": ("1e-9", "1000000", ("0", "-1", "1000001")),
    "BUDGET_TEAM_MONTH_TOKENS": ("1", "1000000000000", ("0", "1000000000001")),
    "BUDGET_GLOBAL_DAY_USD": ("1e-9", "1000000", ("0", "-1", "1000001")),
    "BUDGET_GLOBAL_DAY_TOKENS": ("1", "1000000000000", ("0", "1000000000001")),
    "BUDGET_ANONYMOUS_SHARE": ("1e-9", "1", ("0", "-1", "1.1")),
    "LEASE_SECONDS": ("1", "60", ("0.9", "61")),
    "USAGE_DAYS": ("0", "400", ("-1", "401")),
    "MAX_MESSAGE_CHARS": ("1", str(2**30), ("0", str(2**30 + 1))),
    "MAX_ITERATIONS": ("1", "100", ("0", "101")),
    "MAX_TOKENS": ("1", "100000000", ("0", "100000001")),
    "MAX_REASONING_TOKENS": ("0", "100000000", ("-1", "100000001")),
    "MAX_COST_USD": ("1e-9", "10000", ("0", "-1", "10001")),
    "MAX_RUN_TOKENS": ("1", "100000000", ("0", "100000001")),
    "RUN_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "WORKERS": ("0", "1000", ("-1", "1001")),
    "RUN_LEASE_SECONDS": ("1", "60", ("0.9", "61")),
    "RUN_CRASHES": ("1", "100", ("0", "101")),
    "BACKGROUND_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "RUN_QUEUE_SECONDS": ("1", "31536000", ("0", "31536001")),
    "RUN_TTL_SECONDS": ("60", "31536000", ("59", "31536001")),
    "RUN_EVENTS": ("100", "1000000", ("99", "1000001")),
    "RUNS_PER_USER": ("1", "1000000", ("0", "1000001")),
    "BATCH_BODY_BYTES": ("1024", str(2**30), ("1023", str(2**30 + 1))),
    "BATCH_INPUTS": ("1", "100000", ("0", "100001")),
    "BATCHES_PER_USER": ("1", "10000", ("0", "10001")),
    "TOOL_RESULT_CHARS": ("0", "1000000", ("-1", "1000001")),
    "MODEL_RETRIES": ("0", "10", ("-1", "11")),
    "RETRY_AFTER_MAX_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "CONNECT_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "FIRST_CONTENT_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "FIRST_CONTENT_TIMEOUT_PER_1000_TOKENS": ("0", "3600", ("-1", "3601")),
    "CONTENT_GAP_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "MAX_CONCURRENT_CALLS": ("1", "1000000", ("0", "1000001")),
    "MAX_QUEUED_CALLS": ("0", "1000000", ("-1", "1000001")),
    "ANSWER_CACHE_TTL_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "STALE_IF_ERROR_SECONDS": ("0", "2592000", ("-1", "2592001")),
    "SIMILAR_THRESHOLD": ("0.5", "1", ("0.4", "1.1")),
    "ROUTER_TIMEOUT_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "LOG_FILE_MAX_BYTES": ("1024", str(2**30), ("1023", str(2**30 + 1))),
    "LOG_FILE_BACKUPS": ("0", "1000", ("-1", "1001")),
    "TRACE_SLOW_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "TRACE_DEAR_USD": ("0", "10000", ("-1", "10001")),
    "FEEDBACK_DAYS": ("0", "400", ("-1", "401")),
    "HISTORY_MAX_TOKENS": ("0", "100000000", ("-1", "100000001")),
    "GUARD_MODEL_SECONDS": ("0.05", "60", ("0", "61")),
    "APPROVAL_SECONDS": ("1", "604800", ("0", "604801")),
    "HTTP_GET_BYTES": ("1024", str(2**30), ("1023", str(2**30 + 1))),
    "HTTP_GET_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "SQL_QUERY_ROWS": ("1", "100000", ("0", "100001")),
    "SQL_QUERY_SECONDS": ("0.1", "86400", ("1e-9", "0", "86401")),
    "TOOL_PROCESS_BYTES": (str(2**26), str(2**36), (str(2**26 - 1), str(2**36 + 1))),
    "TOOL_PROCESS_CPU_SECONDS": ("1", "3600", ("0", "3601")),
    "AUDIT_DAYS": ("1", "3650", ("0", "3651")),
    "AUDIT_RECORDS": ("1000", str(10**9), ("999", str(10**9 + 1))),
    "AUDIT_HEAD_SECONDS": ("1", "3600", ("0", "3601")),
}
"""The smallest value, the largest, and some beyond them."""

TEXTS: dict[str, tuple[str, ...]] = {
    "HOST": (" ", "a\tb"),
    "MODELS": (" ", ",", "demo demo"),
    "OLLAMA_API_BASE": (" ", "ollama", "http://ollama:0"),
    "OLLAMA_KEEP_ALIVE": (" ", "5 m", "1e3s", "nan", "9" * 30, "87601h", "9" * 400 + "h"),
    "ANTHROPIC_BASE_URL": (" ", "https://a:0"),
    "OPENAI_BASE_URL": (" ", "https://a:0/v1"),
    "UNKNOWN_PRICE": (" ", "Error"),
    "BREAKER": (" ", "maybe"),
    "STREAM_RECOVERY": (" ", "Fail"),
    "ANSWER_CACHE": (" ", "maybe"),
    "ANSWER_CACHE_PUBLIC": (" ", "maybe"),
    "SIMILAR_ANSWERS": (" ", "on"),
    "PROMPT_CACHE_TTL": (" ", "10m"),
    "REDIS_URL": ("valkey:6379",),
    "RUN_QUEUE_URL": (" ", "valkey:6379", "postgres:5432"),
    "WEBHOOK_HOSTS": ("a b", "https://a.example", "a.example:80", "*"),
    "BATCH_PROVIDERS": (" ", "some"),
    "TLS_STRICT": (" ", "perhaps"),
    "AUTH": (" ", "jwt,none"),
    "JWT_ISSUER": (" ",),
    "JWT_AUDIENCE": (" ",),
    "JWT_JWKS_ALLOW_HTTP": (" ", "2"),
    "JWT_SCOPE_CLAIM": (" ",),
    "JWT_TEAM_CLAIM": (" ",),
    "JWT_TIER_CLAIM": (" ",),
    "LIMITS_FAIL": (" ", "ajar"),
    "DOCS": (" ", "some"),
    "SYSTEM_PROMPT": (" ", "\n\t", "h\udcf6flich"),
    "LOG_LEVEL": (" ", "trace"),
    "LOG_FORMAT": (" ", "text"),
    "LOG_CONTENT": (" ", "some"),
    "TRACE_CONTENT": (" ", "some"),
    "TRACE_LATE": (" ", "some"),
    "TRACE_DIALECTS": (" ", ",", "zipkin", "otel,OTEL"),
    "TRACE_HOSTS": ("a b", "https://a.example", "a.example:80", "*"),
    "GUARD_INPUT": (" ", "Block"),
    "GUARD_MODEL_REQUIRED": (" ", "maybe"),
    "REDACT": (" ", "none,secrets", "passports"),
    "TOOLS": (" ", "none,clock", "a b", "*a"),
    "WHEN_TAINTED": (" ", "ask"),
    "APPROVE_RISK": (" ", "some"),
    "HTTP_GET_HOSTS": ("a b", "https://a.example", "a.example:80", "*"),
    "READ_FILE_ROOTS": ("data", "/data,data"),
    "MCP_STDIO": (" ", "maybe"),
    "AUDIT": (" ", "maybe"),
}
"""Values that the settings themselves refuse."""

LATER: dict[str, tuple[str, ...]] = {
    "MODELS": ("x", "openai", "/x", "openai/"),
    "MODEL_OPTIONS": (" ", "{", "[]", '{"demo": 1}', '{"other": {}}'),
    "REDIS_URL": ("redis://valkey:0", "redis://valkey:99999", "redis://valkey/x"),
    "REDIS_CA_FILE": ("/nowhere", "/dev/null"),
    "API_KEYS_FILE": ("/nowhere", "/dev/zero", "/dev"),
    "JWT_ALGORITHMS": (" ", "none", "rs256"),
    "JWT_SECRET": ("short", " "),
    "JWT_PUBLIC_KEY": ("/nowhere", "/dev/zero", "-----BEGIN"),
    "JWT_JWKS_URL": ("idp", "http://idp.example/keys", "https://idp:0/keys"),
    "TRUSTED_PROXIES": ("proxy", "10.0.0.0/33", "10.0.0.1:80"),
    "CORS_ORIGINS": ("https://a.example:0", "https://a.example/", "a.example", "https://a.example:99999"),
    "ROOT_PATH": (" ", "agents", "/a b", "/.."),
    "LIMITS": (
        " ",
        "[]",
        "{",
        '{"global": {"per_minute": 0}}',
        '{"tiers": {"default": {"tools": {"serach": {"per_minute": 1}}}}}',
        '{"tiers": {"a b": {}}}',
    ),
    "MAX_RUN_TOKENS": ("1", "100"),
    "MODEL_TIERS": (" ", "{", "[]", '{"simple": "demo"}', '{"simple": "other", "complex": "demo"}', '{"complex": 1}'),
    "ROUTER_MODEL": (" ", "other"),
    "EMBEDDING_MODEL": (" ", "x", "demo", "ollama/"),
    "AGENTS_DIR": ("/nowhere", "/dev/null"),
    "RUN_QUEUE_URL": ("redis://valkey:0", "postgresql://postgres:port/runs", "postgresql://a b/runs"),
    "WEBHOOK_SECRETS_DIR": ("/nowhere", "/dev/null"),
    "GUARD_RULES_DIR": ("/nowhere", "/dev/null"),
    "GUARD_MODEL": (" ", "x", "ollama/"),
    "REDACTION_RULES_DIR": ("/nowhere", "/dev/null"),
    "TOOLS": ("no_such_tool", "read_file", "sql_query"),
    "READ_FILE_ROOTS": ("/nowhere", "/dev/null"),
    "SQL_QUERY_URL": (" ", "mysql://a/b", "postgresql://a:port/b", "sqlite:////nowhere/x.db"),
    "MCP_SERVERS_FILE": ("/nowhere", "/dev/null", "/dev/zero"),
    "AUDIT_KEY_FILE": ("/nowhere", "/dev/null", "/dev/zero"),
}
"""Values that are refused when the service is built with them."""

FILES = frozenset({"SYSTEM_PROMPT_FILE", "LOG_FILE", "LOG_ERROR_FILE"})
SECRETS = frozenset({"ANTHROPIC_API_KEY", "OPENAI_API_KEY"})


pytestmark = pytest.mark.usefixtures("empty_environment")


def refusal(**settings: Any) -> str:
    """What the service says when it refuses to start."""
    with pytest.raises(ConfigurationError) as caught:
        create_app(load(None, **settings))
    return str(caught.value)


def test_each_setting_is_tried() -> None:
    tried = NUMBERS.keys() | TEXTS.keys() | LATER.keys() | FILES | SECRETS
    assert tried == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_taken_within_its_bounds_and_refused_beyond(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    least, most, beyond = NUMBERS[name]
    for text in (least, most):
        monkeypatch.setenv(name, text)
        assert getattr(load(), name.lower()) == float(text)
    for text in (*beyond, "nan", "inf", "-inf", "1 000", "5m", "0x10", " ", "1" + "0" * 5000):
        monkeypatch.setenv(name, text)
        with pytest.raises(ConfigurationError, match=f"^{name}: "):
            load()


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in TEXTS.items() for text in texts])
def test_a_text_that_cannot_be_meant_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setitem(os.environ, name, text)
    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        load()


JWT = {"auth": "jwt", "jwt_issuer": "i", "jwt_audience": "a"}
BESIDE: dict[str, dict[str, Any]] = {
    "API_KEYS_FILE": {"auth": "api-key"},
    "JWT_ALGORITHMS": {**JWT, "jwt_secret": "s" * 64},
    "JWT_SECRET": {**JWT, "jwt_algorithms": "HS256"},
    "JWT_PUBLIC_KEY": JWT,
    "JWT_JWKS_URL": JWT,
    "REDIS_CA_FILE": {"redis_url": "rediss://valkey"},
    "RUN_QUEUE_URL": {"redis_url": "redis://valkey"},
}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in LATER.items() for text in texts])
def test_a_value_that_never_works_stops_the_start(name: str, text: str) -> None:
    said = refusal(**BESIDE.get(name, {}), **{name.lower(): text})
    assert said.startswith(f"{name}: ")


def test_a_cost_that_no_call_of_a_priced_model_fits_stops_the_start() -> None:
    priced = {"models": "demo,openai/gpt-4o", "openai_api_key": "sk-key"}
    said = refusal(**priced, max_cost_usd=0.0001)
    assert said.startswith("MAX_COST_USD: is too small for any call of openai/gpt-4o")
    create_app(load(None, max_cost_usd=1e-9))
    create_app(load(None, **priced, max_cost_usd=0.05))


@pytest.mark.parametrize("setting", ["max_run_tokens", "max_cost_usd"])
def test_the_value_that_is_named_is_enough(setting: str) -> None:
    priced = {"models": "openai/gpt-4o", "openai_api_key": "sk-key"}
    said = refusal(**priced, **{setting: 1 if setting == "max_run_tokens" else 1e-9})
    number = said.split("counted as ")[-1].split("may cost $")[-1].partition(";")[0]
    create_app(load(None, **priced, **{setting: float(number) * (1 if setting == "max_run_tokens" else 1.001)}))


def test_a_limit_of_a_tool_that_is_there_is_taken() -> None:
    create_app(load(None, limits='{"tiers": {"default": {"tools": {"clock": {"per_minute": 1}, "*": {}}}}}'))


@pytest.mark.parametrize("name", ["ANTHROPIC_API_KEY", "OPENAI_API_KEY"])
def test_a_blank_key_is_none(name: str) -> None:
    models = "anthropic/claude-sonnet-4-5" if name.startswith("ANTHROPIC") else "openai/gpt-4o"
    assert refusal(models=models, **{name.lower(): " \n"}).startswith(f"{name}: is not set")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty or blank"),
        (b" \n\t", "is empty or blank"),
        (b"x" * 1_048_577, "has more than 1048576 bytes"),
        ("/dev/zero", "is not a regular file"),
        ("/dev/null", "is not a regular file"),
        ("pipe", "is not a regular file"),
        ("folder", "cannot be read (Is a directory)"),
    ],
    ids=["empty", "blank", "large", "zeros", "null", "pipe", "folder"],
)
def test_a_prompt_file_without_a_prompt_is_refused(tmp_path: Path, content: bytes | str, problem: str) -> None:
    path = tmp_path / "prompt"
    match content:
        case bytes():
            path.write_bytes(content)
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(content)
    assert refusal(system_prompt_file=str(path)) == f"SYSTEM_PROMPT_FILE: {path} {problem}"


@pytest.mark.parametrize("name", ["LOG_FILE", "LOG_ERROR_FILE"])
@pytest.mark.parametrize("place", ["nowhere/log", "folder", "pipe", "nul\0"])
def test_a_log_file_that_cannot_be_written_stops_the_start(tmp_path: Path, name: str, place: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match=f"^{name}: .* cannot be written"), restored_log():
        configure(load(None, **{name.lower(): str(tmp_path / place)}))


def test_errors_have_a_file_of_their_own(tmp_path: Path) -> None:
    both = str(tmp_path / "log")
    with pytest.raises(ConfigurationError, match="LOG_ERROR_FILE: is the file of"), restored_log():
        configure(load(None, log_file=both, log_error_file=both))


@pytest.mark.parametrize("name", ["API_KEYS_FILE", "JWT_PUBLIC_KEY", "REDIS_CA_FILE"])
def test_a_pipe_that_nobody_writes_to_holds_up_no_start(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    assert refusal(**BESIDE[name], **{name.lower(): str(path)}).startswith(f"{name}: ")

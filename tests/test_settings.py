"""Settings: read from the environment and `.env`, and a bad value is named before anything starts."""

from errno import EACCES
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.errors import ConfigurationError
from app.http.connections import Bounds
from app.settings import Settings, load

pytestmark = pytest.mark.usefixtures("empty_environment")


def test_without_an_environment_the_service_runs_its_demo_for_this_machine_only() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.metrics_port) == ("127.0.0.1", 8000, 9090)
    assert (settings.models, settings.redis_url, settings.auth) == (("demo",), None, ("none",))
    assert (settings.max_iterations, settings.run_timeout_seconds, settings.drain_seconds) == (10, 120, 25)
    assert (settings.max_message_chars, settings.log_content, settings.limits_fail) == (10_000, False, None)


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert not field.description.endswith("."), name
        assert "|" not in field.description, f"{name}: it goes into a table"


def test_the_environment_is_read_and_what_is_empty_or_unknown_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8080")
    monkeypatch.setenv("log_level", "WARNING")
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("MAX_TOKENS", "")
    monkeypatch.setenv("NO_SUCH_SETTING", "1")
    settings = load()
    assert (settings.port, settings.log_level, settings.redis_url, settings.max_tokens) == (8080, "warning", None, 4096)


def test_env_is_read_and_the_environment_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text('PORT=8080\nMETRICS_PORT=8081\nSYSTEM_PROMPT="Sei höflich."\nOTHER=1\n', encoding="utf-8")
    monkeypatch.setenv("PORT", "9000")
    settings = load()
    assert (settings.port, settings.metrics_port, settings.system_prompt) == (9000, 8081, "Sei höflich.")
    assert load(None).metrics_port == 9090


def test_env_in_another_encoding_is_named() -> None:
    Path(".env").write_bytes("SYSTEM_PROMPT=höflich".encode("latin-1"))
    with pytest.raises(ConfigurationError, match=r"^\.env: is not UTF-8"):
        load()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MODELS", " demo , ollama/qwen2.5:3b,, ", ("demo", "ollama/qwen2.5:3b")),
        ("CORS_ORIGINS", "https://a.example,https://b.example", ("https://a.example", "https://b.example")),
        ("AUTH", "api-key, jwt", ("api-key", "jwt")),
        ("JWT_ALGORITHMS", "RS256,ES256", ("RS256", "ES256")),
        ("TRUSTED_PROXIES", "10.0.0.0/8", ("10.0.0.0/8",)),
        ("OLLAMA_API_BASE", "http://ollama:11434/v1/", "http://ollama:11434"),
        ("OLLAMA_API_BASE", "http://ollama:11434/api", "http://ollama:11434"),
        ("ANTHROPIC_BASE_URL", "https://llm.example/v1", "https://llm.example"),
        ("ANTHROPIC_BASE_URL", "https://llm.example/anthropic/v1/", "https://llm.example/anthropic"),
        ("ANTHROPIC_BASE_URL", "https://llm.example/v1/messages", "https://llm.example"),
        ("ANTHROPIC_BASE_URL", "https://llm.example/v1/messages/", "https://llm.example"),
        ("ANTHROPIC_BASE_URL", "https://llm.example/v10", "https://llm.example/v10"),
        ("OLLAMA_API_BASE", "http://[::1]:11434", "http://[::1]:11434"),
        ("OLLAMA_API_BASE", "http://ollama:11434/api/chat", "http://ollama:11434"),
        ("OLLAMA_API_BASE", "http://proxy/ollama/api/", "http://proxy/ollama"),
        ("OPENAI_BASE_URL", "HTTPS://vllm.example/v1/chat/completions\n", "https://vllm.example/v1"),
        ("OPENAI_BASE_URL", "https://vllm.example/v1/", "https://vllm.example/v1"),
        ("OPENAI_BASE_URL", "https://vllm.example/v1/responses", "https://vllm.example/v1"),
        ("OPENAI_BASE_URL", "https://vllm.example", "https://vllm.example"),
        ("OPENAI_BASE_URL", "https://api.openai.com/", "https://api.openai.com/v1"),
        ("OPENAI_BASE_URL", "https://eu.api.openai.com/v1/models", "https://eu.api.openai.com/v1"),
        ("OLLAMA_KEEP_ALIVE", "1h30m", "1h30m"),
        ("OLLAMA_KEEP_ALIVE", "-1", "-1"),
        ("JWT_ISSUER", "https://idp.example/\n", "https://idp.example/"),
        ("JWT_AUDIENCE", " agent-api ", "agent-api"),
        ("REDIS_URL", "redis://valkey\n", "redis://valkey"),
        ("REDIS_URL", "rediss://:secret@valkey:6380/1", "rediss://:secret@valkey:6380/1"),
        ("REDIS_URL", "unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("BUDGET_GLOBAL_DAY_USD", "off", None),
        ("BUDGET_GLOBAL_DAY_USD", "2.5", 2.5),
        ("BUDGET_USER_DAY_TOKENS", "1000", 1000),
        ("LIMITS_FAIL", "open", "open"),
        ("LOG_LEVEL", "Debug", "debug"),
        ("LOG_CONTENT", "yes", True),
        ("API_KEYS_FILE", "/etc/keys", Path("/etc/keys")),
        ("PORT", "0", 0),
    ],
)
def test_values_as_they_are_meant(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    monkeypatch.setenv(name, text)
    assert getattr(load(), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("METRICS_PORT", "8000"),
        ("MODELS", ","),
        ("MODELS", "demo,demo"),
        ("OLLAMA_API_BASE", "localhost:11434"),
        ("OLLAMA_API_BASE", "http://"),
        ("OLLAMA_API_BASE", "http://:11434"),
        ("OPENAI_BASE_URL", "ftp://openai.example"),
        ("OPENAI_BASE_URL", "http://host:port"),
        ("ANTHROPIC_BASE_URL", "https://[::1"),
        ("OLLAMA_API_BASE", "http://ada:swordfish@ollama:11434"),
        ("OPENAI_BASE_URL", "https://:swordfish@vllm.example/v1"),
        ("OPENAI_BASE_URL", "https://azure.example/openai?api-version=1"),
        ("ANTHROPIC_BASE_URL", "https://swordfish@gateway.example"),
        ("ANTHROPIC_BASE_URL", "https://gate..way.example"),
        ("OLLAMA_NUM_CTX", "100"),
        ("OLLAMA_KEEP_ALIVE", "5 minutes"),
        ("OLLAMA_KEEP_ALIVE", "5x"),
        ("MODELS", "demo ollama/x"),
        ("JWT_ISSUER", " "),
        ("JWT_SCOPE_CLAIM", "a\tb"),
        ("UNKNOWN_PRICE", "ignore"),
        ("REDIS_URL", "http://redis"),
        ("AUTH", "password"),
        ("AUTH", "none,jwt"),
        ("AUTH", ","),
        ("LIMITS_FAIL", "half"),
        ("SESSION_MAX_BYTES", "100"),
        ("SESSIONS_PER_USER", "0"),
        ("SESSION_BYTES_PER_USER", "0"),
        ("TOOL_RESULT_CHARS", "-1"),
        ("LEASE_SECONDS", "0"),
        ("LEASE_SECONDS", "nan"),
        ("USAGE_DAYS", "-1"),
        ("BUDGET_USER_DAY_USD", "0"),
        ("BUDGET_USER_DAY_USD", "inf"),
        ("BUDGET_TEAM_MONTH_TOKENS", "1.5"),
        ("BUDGET_GLOBAL_DAY_USD", "none"),
        ("JWT_JWKS_ALLOW_HTTP", "maybe"),
        ("MAX_MESSAGE_CHARS", "0"),
        ("MAX_BODY_BYTES", "1"),
        ("MAX_ITERATIONS", "0"),
        ("MAX_ITERATIONS", "101"),
        ("MAX_TOKENS", "0"),
        ("MAX_COST_USD", "0"),
        ("MAX_COST_USD", "nan"),
        ("MAX_RUN_TOKENS", "many"),
        ("RUN_TIMEOUT_SECONDS", "0"),
        ("RUN_TIMEOUT_SECONDS", "inf"),
        ("HISTORY_MAX_TOKENS", "-1"),
        ("SESSION_TTL_SECONDS", "0"),
        ("SESSION_MAX_TURNS", "0"),
        ("DRAIN_SECONDS", "-1"),
        ("DRAIN_SECONDS", "inf"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LOG_CONTENT", "sometimes"),
    ],
)
def test_a_bad_value_is_named_with_its_problem(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError) as caught:
        load()
    setting, problem = str(caught.value).split(": ", 1)
    assert setting == name
    assert problem
    assert "\n" not in problem
    assert "swordfish" not in problem
    assert "Value error" not in problem


def test_a_proxy_that_a_model_server_cannot_be_reached_by_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ada:swordfish@proxy:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert load().models == ("demo",)
    monkeypatch.setenv("MODELS", "openai/x")
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY: ") as caught:
        load()
    assert "swordfish" not in str(caught.value)
    monkeypatch.setenv("HTTPS_PROXY", "http://ada:swordfish@proxy:3128")
    assert load().models == ("openai/x",)


@pytest.mark.parametrize("proxy", ["http://proxy:3128", "https://proxy:3128", "ada:swordfish@proxy:3128"])
def test_the_client_of_anthropic_takes_more_proxies(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("MODELS", "anthropic/x")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert load().models == ("anthropic/x",)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://ada:swordfish@proxy:1080")
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY: ") as caught:
        load()
    assert "swordfish" not in str(caught.value)


def test_all_bad_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "MAX_TOKENS", "LOG_LEVEL"):
        monkeypatch.setenv(name, "bad")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == ["PORT", "MAX_TOKENS", "LOG_LEVEL"]


@pytest.mark.parametrize("name", ["PORT", "REDIS_URL", "OPENAI_BASE_URL", "LOG_LEVEL"])
def test_a_bad_value_is_not_repeated_for_it_may_be_a_secret(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "swordfish")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert "swordfish" not in str(caught.value)


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "JWT_SECRET"):
        monkeypatch.setenv(name, "swordfish")
    settings = load()
    assert "swordfish" not in repr(settings)
    assert isinstance(settings.openai_api_key, SecretStr)
    assert settings.openai_api_key.get_secret_value() == "swordfish"


def test_an_env_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = tmp_path / ".env"
    env.mkdir()
    with pytest.raises(ConfigurationError, match=r"^\.env: cannot be read: Is a directory$"):
        load()
    env.rmdir()
    env.symlink_to("nowhere")
    with pytest.raises(ConfigurationError, match=r"^\.env: cannot be read: No such file or directory$"):
        load()
    env.unlink()
    env.write_bytes(b"PORT=1\nHOST=\xff\n")
    with pytest.raises(ConfigurationError, match=r"^\.env: is not UTF-8"):
        load()

    def forbidden(*_: object) -> None:
        raise PermissionError(EACCES, "Permission denied")  # as root the tester may read all

    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(ConfigurationError, match=r"^\.env: cannot be read: Permission denied$"):
        load()


def test_an_env_file_may_be_a_device(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("/dev/null")
    assert load().port == 8000


def test_the_bounds_of_the_socket_have_their_defaults() -> None:
    settings = load()
    assert (settings.max_head_bytes, settings.max_bodies_bytes) == (65_536, 67_108_864)
    assert (settings.max_connections, settings.max_active_requests) == (2000, 1200)
    assert settings.head_timeout_seconds == 10
    assert settings.body_timeout_seconds == 30
    assert settings.write_timeout_seconds == 60


def test_a_body_of_the_largest_size_always_fits_into_the_bound_of_all() -> None:
    settings = load(None, max_body_bytes=100_000_000, max_bodies_bytes=1024)
    assert Bounds.of(settings, frozenset()).bodies_bytes == 100_000_000


def test_a_long_system_prompt_comes_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("Sei höflich. " * 20_000, encoding="utf-8")
    monkeypatch.setenv("SYSTEM_PROMPT_FILE", str(prompt))
    assert load().system_prompt == prompt.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "cannot be read (No such file or directory)"), (b"h\xf6flich", "is not UTF-8")],
    ids=["missing", "latin-1"],
)
def test_a_prompt_file_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, sentence: str
) -> None:
    prompt = tmp_path / "prompt.txt"
    if content is not None:
        prompt.write_bytes(content)
    monkeypatch.setenv("SYSTEM_PROMPT_FILE", str(prompt))
    with pytest.raises(ConfigurationError) as refused:
        load()
    assert str(refused.value).startswith(f"SYSTEM_PROMPT_FILE: {prompt} {sentence}")


def test_a_prompt_comes_from_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEM_PROMPT", "Be brief.")
    monkeypatch.setenv("SYSTEM_PROMPT_FILE", "/nowhere")
    with pytest.raises(ConfigurationError, match="SYSTEM_PROMPT_FILE: is set together with SYSTEM_PROMPT"):
        load()

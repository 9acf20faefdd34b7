"""The start: quick when the settings are good; exit 2 and the setting's name when one is not."""

import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.main import create_app
from app.settings import load
from tests.conftest import Serve
from tests.packages import write_package
from tests.service import run_to_end

BAD: dict[str, tuple[dict[str, object], str]] = {
    "an unknown provider": ({"models": "gpt-4o"}, "MODELS: `gpt-4o` is not a model reference"),
    "several bad values": ({"drain_seconds": "soon", "log_level": "loud"}, "DRAIN_SECONDS: "),
    "a port that is taken": ({"port": "TAKEN"}, "PORT: cannot listen on 127.0.0.1:"),
    "a metrics port that is taken": ({"metrics_port": "TAKEN"}, "METRICS_PORT: cannot listen on 127.0.0.1:"),
    "an address that is unknown": ({"host": "no.such.host.invalid"}, "HOST: cannot listen on no.such.host.invalid"),
    "tools that cannot be loaded": ({"pythonpath": "BROKEN"}, "The tools of package 'broken' cannot be used"),
}

Ends = dict[str, Future[tuple[int, str, str]]]


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """What becomes of each of them, all started at the same time."""
    folder: Path = tmp_path_factory.mktemp("bad")
    package = write_package(folder / "packages", "broken", "import nothing_of_this_name\n")
    with socket.create_server(("127.0.0.1", 0)) as taken, ThreadPoolExecutor(3) as pool:
        values = {"TAKEN": taken.getsockname()[1], "BROKEN": package}
        yield {
            kind: pool.submit(
                run_to_end,
                folder,
                fresh=True,
                **{name: values.get(str(value), value) for name, value in settings.items()},
            )
            for kind, (settings, _) in BAD.items()
        }


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_stops_the_start_with_its_name(ends: Ends, kind: str) -> None:
    status, out, err = ends[kind].result()
    assert status == 2
    assert BAD[kind][1] in err
    assert "Traceback" not in out + err
    assert '"event":"start"' not in out


def test_all_bad_settings_are_told_at_once(ends: Ends) -> None:
    _, _, err = ends["several bad values"].result()
    assert "DRAIN_SECONDS: " in err
    assert "LOG_LEVEL: " in err


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "65536"),
        ("PORT", "http"),
        ("METRICS_PORT", "-1"),
        ("MODELS", " , "),
        ("MODELS", "demo,demo"),
        ("MAX_BODY_BYTES", "1MB"),
        ("MAX_MESSAGE_CHARS", "0"),
        ("RUN_TIMEOUT_SECONDS", "0"),
        ("RUN_TIMEOUT_SECONDS", "nan"),
        ("RUN_TIMEOUT_SECONDS", "inf"),
        ("DRAIN_SECONDS", "-1"),
        ("DRAIN_SECONDS", "nan"),
        ("DRAIN_SECONDS", "inf"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("LOG_CONTENT", "maybe"),
        ("AUTH", "password"),
        ("REDIS_URL", "localhost:6379"),
        ("OPENAI_BASE_URL", "localhost"),
        ("MAX_COST_USD", "0"),
        ("MAX_HEAD_BYTES", "1"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_ACTIVE_REQUESTS", "0"),
        ("HEAD_TIMEOUT_SECONDS", "inf"),
        ("BODY_TIMEOUT_SECONDS", "0"),
        ("WRITE_TIMEOUT_SECONDS", "-1"),
        ("LIMITS_FAIL", "perhaps"),
    ],
)
def test_a_bad_value_is_told_by_its_settings_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"^{name}: "):
        load(None)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"models": "openai/unheard-of", "openai_api_key": "k"}, "MODELS: no price is known for openai/unheard-of"),
        ({"models": "openai/gpt-5"}, "OPENAI_API_KEY: is not set"),
        ({"models": "anthropic/claude-haiku-4-5"}, "ANTHROPIC_API_KEY: is not set"),
        ({"models": "/x"}, "MODELS: `/x` is not a model reference"),
        ({"limits": "{"}, "LIMITS: "),
        ({"trusted_proxies": "everyone"}, "TRUSTED_PROXIES: "),
        ({"redis_url": "redis://host:port"}, "REDIS_URL: "),
        ({"auth": "api-key"}, "API_KEYS_FILE: "),
    ],
)
def test_settings_that_do_not_fit_together_are_told_as_well(settings: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigurationError, match="^" + re.escape(problem)):
        create_app(load(None, **settings))


def test_one_port_for_both_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9090")
    with pytest.raises(ConfigurationError, match=r"^METRICS_PORT: must differ from PORT"):
        load(None)


def test_a_secret_that_is_wrong_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("PORT", "sk-secret-in-the-wrong-place")
    with pytest.raises(ConfigurationError) as caught:
        load(None)
    assert "sk-secret" not in str(caught.value)


def test_the_start_takes_seconds_and_reads_dot_env_and_the_environment_wins(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "service-0"
    folder.mkdir()
    (folder / ".env").write_text("LOG_FORMAT=json\nMAX_MESSAGE_CHARS=5\nMAX_ITERATIONS=1\nSOMETHING_ELSE=1\n")
    started = time.monotonic()
    service = serve(max_iterations=2)
    assert time.monotonic() - started < 15
    assert service.chat("123456").status_code == 422
    assert service.ask("POST", "/agent/run", {"query": "6*7"}).json()["iterations"] == 2


@pytest.mark.parametrize("kind", ["a directory", "no UTF-8"])
def test_an_env_file_that_cannot_be_read_stops_the_start_with_its_name(tmp_path: Path, kind: str) -> None:
    env = tmp_path / ".env"
    if kind == "a directory":
        env.mkdir()
    else:
        env.write_bytes(b"SYSTEM_PROMPT=Gr\xfc\xdfe\n")
    status, out, err = run_to_end(tmp_path, fresh=True)
    assert (status, out) == (2, "")
    assert ".env: " in err
    assert "Traceback" not in err

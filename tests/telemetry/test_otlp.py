"""What the environment says about OpenTelemetry, as far as it can go wrong."""

import os

import pytest

from app.errors import ConfigurationError
from app.settings import load
from app.telemetry import traces
from app.telemetry.otlp import check_endpoint, hide_secret_headers

NAMES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SANITIZE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, SANITIZE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "endpoint", ["http://collector:4317", "https://collector.example", "collector:4317", "[::1]:4317", "unix:/run/otel"]
)
def test_an_endpoint_that_works_is_taken(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv(NAMES[0], endpoint)
    check_endpoint()


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://ada:swordfish@collector:4317",
        "ada:swordfish@collector:4317",
        "http://swordfish@collector",
        "http://collector:99999",
        "http://col lector",
        "ftp://collector",
        "http://",
        "-,-",
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_an_endpoint_that_does_not_stops_the_start(monkeypatch: pytest.MonkeyPatch, name: str, endpoint: str) -> None:
    monkeypatch.setenv(name, endpoint)
    with pytest.raises(ConfigurationError, match=f"^{name}: ") as caught:
        traces.configure(load(None))
    assert "swordfish" not in str(caught.value)
    assert ("OTEL_EXPORTER_OTLP_HEADERS" in str(caught.value)) == ("@" in endpoint)


def test_without_an_endpoint_there_is_nothing_to_check() -> None:
    check_endpoint()


def test_secret_headers_are_hidden_whatever_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SANITIZE, "x-mine")
    hide_secret_headers()
    assert os.environ[SANITIZE].startswith("x-mine,authorization,")

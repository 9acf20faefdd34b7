"""What the environment says about OpenTelemetry, as far as it can go wrong."""

import os

import pytest

from app.errors import ConfigurationError
from app.settings import load
from app.telemetry import traces
from app.telemetry.otlp import check_environment, header_values, hide_secret_headers

NAMES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SANITIZE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS"
OTHERS = tuple(f"OTEL_EXPORTER_OTLP_{kind}{name}" for kind in ("", "TRACES_") for name in ("PROTOCOL", "HEADERS"))


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, *OTHERS, SANITIZE):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "endpoint", ["http://collector:4317", "https://collector.example", "collector:4317", "[::1]:4317", "unix:/run/otel"]
)
def test_an_endpoint_that_works_is_taken(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv(NAMES[0], endpoint)
    check_environment()


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
    check_environment()


def test_secret_headers_are_hidden_whatever_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SANITIZE, "x-mine")
    hide_secret_headers()
    assert os.environ[SANITIZE].startswith("x-mine,authorization,")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "swordfish"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "swordfish"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "good=1,two words=swordfish"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "key=swordfish\r\nother: x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "key=sword%0d%0afish"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "-1"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "deflate"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "10"),
    ],
)
def test_what_the_exporter_cannot_work_with_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(NAMES[0], "http://collector:4317")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=f"^{name}: ") as caught:
        traces.configure(load(None))
    assert "swordfish" not in str(caught.value) or name.endswith("PROTOCOL")


@pytest.mark.parametrize("endpoint", ["collector:4318", "unix:/run/otel"])
def test_http_needs_an_address_with_its_scheme(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv(NAMES[0], endpoint)
    with pytest.raises(ConfigurationError, match=f"^{NAMES[0]}: "):
        check_environment()


def test_headers_are_kept_out_of_what_others_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Basic%20swordfish,x-key=sesame-open")
    values = set(header_values())
    assert {"Basic%20swordfish", "Basic swordfish", "swordfish", "sesame-open"} <= values

"""OpenTelemetry's environment: what of it would not work, or would let secrets out."""

import os

from app.errors import ConfigurationError
from app.urls import http_url

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_SANITIZE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS"
_REDACTED = "authorization,cookie,api-?key,token,secret"  # regular expressions, found anywhere in a name


def check_endpoint() -> None:
    """Raises ConfigurationError for an endpoint that no exporter can reach, and for one with a password: the exporter
    does not send it, and repeats it in the log."""
    name = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    if name is None:
        return
    endpoint = os.environ[name]
    if endpoint.startswith("unix:"):
        return
    try:
        http_url(endpoint if "://" in endpoint else f"http://{endpoint}")
    except ValueError as error:
        hint = "; credentials go into OTEL_EXPORTER_OTLP_HEADERS" if "@" in endpoint else ""
        raise ConfigurationError(f"{name}: {error}{hint}") from None


def hide_secret_headers() -> None:
    """Have credentials redacted in spans, whatever headers the environment wants captured there."""
    given = os.environ.get(_SANITIZE)
    os.environ[_SANITIZE] = f"{given},{_REDACTED}" if given else _REDACTED

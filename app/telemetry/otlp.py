"""OpenTelemetry's environment: what of it would not work, or would let secrets out, and the exporter that it names."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from app.errors import ConfigurationError
from app.urls import http_url

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_PREFIX = "OTEL_EXPORTER_OTLP_"
_SANITIZE = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS"
_REDACTED = "authorization,cookie,api-?key,token,secret"  # regular expressions, found anywhere in a name
_GRPC, _HTTP = "grpc", "http/protobuf"
_COMPRESSIONS = {_GRPC: ("gzip",), _HTTP: ("none", "gzip", "deflate")}
_HEADER_NAME = re.compile(r"[a-z0-9_.-]+").fullmatch  # lower case as gRPC and HTTP/2 have it
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*").fullmatch
_FILES = ("CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE")


def endpoint_is_set() -> bool:
    """True if the environment names an OTLP endpoint; OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER=none win."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return _given("ENDPOINT") is not None


def check_environment() -> None:
    """Raises ConfigurationError, which names the variable, for what no exporter can work with."""
    protocol = _protocol()
    _check_endpoint(protocol)
    _check_headers()
    _check_rest(protocol)


def new_exporter() -> "SpanExporter":
    """The exporter for OTEL_EXPORTER_OTLP_PROTOCOL; only its own library is loaded."""
    from app.telemetry.encoding import encode_spans

    exporter: Any
    if _protocol() == _HTTP:
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as exporter
    else:
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as exporter
    exporter.encode_spans = encode_spans
    new: SpanExporter = exporter.OTLPSpanExporter()
    return new


def header_values() -> Iterator[str]:
    """What the exporter sends with each request: credentials, that no log line may have."""
    for variable in _variables("HEADERS"):
        for header in os.environ.get(variable, "").split(","):
            value = header.partition("=")[2].strip()
            for each in {value, unquote(value)}:
                yield each
                yield each.partition(" ")[2]  # after `Bearer` or `Basic`


def hide_secret_headers() -> None:
    """Have credentials redacted in spans, whatever headers the environment wants captured there."""
    given = os.environ.get(_SANITIZE)
    os.environ[_SANITIZE] = f"{given},{_REDACTED}" if given else _REDACTED


def _variables(name: str) -> tuple[str, str]:
    """What is for traces only, and wins, and what is for all signals."""
    return f"{_PREFIX}TRACES_{name}", f"{_PREFIX}{name}"


def _given(name: str) -> str | None:
    """The variable that says it, if one does."""
    return next((variable for variable in _variables(name) if os.environ.get(variable)), None)


def _protocol() -> str:
    """Raises ConfigurationError."""
    variable = _given("PROTOCOL")
    protocol = _GRPC if variable is None else os.environ[variable].strip().lower()
    if protocol not in (_GRPC, _HTTP):
        raise ConfigurationError(f"{variable}: {protocol!r} is not supported; set {_GRPC} or {_HTTP}")
    return protocol


def _check_endpoint(protocol: str) -> None:
    """An endpoint with a password is refused: the exporter does not send it, and repeats it in the log."""
    variable = _given("ENDPOINT")
    if variable is None:
        return
    endpoint = os.environ[variable]
    if protocol == _GRPC:
        if endpoint.startswith("unix:"):
            return
        endpoint = endpoint if "://" in endpoint else f"http://{endpoint}"
    try:
        http_url(endpoint)
    except ValueError as error:
        hint = "; credentials go into OTEL_EXPORTER_OTLP_HEADERS" if "@" in endpoint else ""
        raise ConfigurationError(f"{variable}: {error}{hint}") from None


def _check_headers() -> None:
    """The exporter leaves a header out that it cannot read, and repeats it in the log."""
    variable = _given("HEADERS")
    if variable is None:
        return
    for number, header in enumerate(os.environ[variable].split(","), 1):
        if not header.strip():
            continue
        name, equals, value = header.partition("=")
        if not (equals and _HEADER_NAME(unquote(name).strip().lower()) and _HEADER_VALUE(unquote(value).strip())):
            raise ConfigurationError(
                f"{variable}: entry {number} is not name=value in ASCII; separate headers by commas, and write a comma "
                "within a value as %2C"
            )


def _check_rest(protocol: str) -> None:
    if (variable := _given("TIMEOUT")) is not None:
        try:
            good = float(os.environ[variable]) > 0
        except ValueError:
            good = False
        if not good:
            raise ConfigurationError(f"{variable}: is not a number of seconds above 0")
    if (variable := _given("COMPRESSION")) is not None:
        known = _COMPRESSIONS[protocol]
        if os.environ[variable].strip().lower() not in known:
            raise ConfigurationError(
                f"{variable}: {protocol} takes {', '.join(known)}; leave it out for no compression"
            )
    for name in _FILES:
        if (variable := _given(name)) is not None and not Path(os.environ[variable]).is_file():
            raise ConfigurationError(f"{variable}: there is no such file")

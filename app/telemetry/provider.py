"""The SDK's tracing, built from OpenTelemetry's environment. Loaded only when tracing is on."""

import os
from collections.abc import Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

from app import __version__
from app.errors import ConfigurationError
from app.telemetry.dialects import translator
from app.telemetry.exporting import CountedProcessor
from app.telemetry.otlp import new_exporter
from app.telemetry.recorder import Recorder
from app.telemetry.sampling import Samples, samples_of
from app.telemetry.scrubbed_spans import ScrubbedExporter

_QUEUE = "OTEL_BSP_MAX_QUEUE_SIZE"
_DEFAULTS = {
    "OTEL_SERVICE_NAME": "agent-api",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",  # today's names of HTTP attributes
    _QUEUE: "512",  # 2 MB when the collector is away
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64",  # the SDK's 512 hold the interpreter for 20 ms
}


def build(dialects: Sequence[str]) -> tuple[Recorder, Samples, CountedProcessor]:
    """`dialects` are the names that spans use. Raises ConfigurationError."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    exporter = ScrubbedExporter(new_exporter(), translator(dialects))
    try:
        processor = CountedProcessor(exporter, int(os.environ[_QUEUE]))
    except ValueError:
        raise ConfigurationError(f"{_QUEUE}: must be a number, and not below OTEL_BSP_MAX_EXPORT_BATCH_SIZE") from None
    # Only for what it reads from the environment: it makes no spans.
    provider = TracerProvider(resource=Resource.create({"service.version": __version__}), shutdown_on_exit=False)
    return Recorder(provider.resource, processor), samples_of(provider.sampler), processor

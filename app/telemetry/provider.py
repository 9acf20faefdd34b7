"""The SDK's tracing, built from OpenTelemetry's environment. Loaded only when tracing is on."""

import os
from collections.abc import Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from app import __version__
from app.errors import ConfigurationError
from app.telemetry.context import current
from app.telemetry.dialects import translator
from app.telemetry.exporting import CountedProcessor
from app.telemetry.otlp import new_exporter
from app.telemetry.scrubbed_spans import ScrubbedExporter

_QUEUE = "OTEL_BSP_MAX_QUEUE_SIZE"
_DEFAULTS = {
    "OTEL_SERVICE_NAME": "agent-api",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",  # today's names of HTTP attributes
    _QUEUE: "512",  # 2 MB when the collector is away
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64",  # the SDK's 512 hold the interpreter for 20 ms
}


class RequestIds(RandomIdGenerator):
    """Gives a request's first span the trace id that the request was sampled by."""

    def generate_trace_id(self) -> int:
        trace_id = current.get().trace_id
        return int(trace_id, 16) if trace_id else super().generate_trace_id()


def build(dialects: Sequence[str]) -> tuple[TracerProvider, CountedProcessor]:
    """`dialects` are the names that spans use. Raises ConfigurationError."""
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    exporter = ScrubbedExporter(new_exporter(), translator(dialects))
    try:
        processor = CountedProcessor(exporter, int(os.environ[_QUEUE]))
    except ValueError:
        raise ConfigurationError(f"{_QUEUE}: must be a number, and not below OTEL_BSP_MAX_EXPORT_BATCH_SIZE") from None
    provider = TracerProvider(
        resource=Resource.create({"service.version": __version__}), id_generator=RequestIds(), shutdown_on_exit=False
    )
    provider.add_span_processor(processor)
    return provider, processor

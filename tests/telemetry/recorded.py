"""A request whose spans a test looks at."""

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry.context import RequestContext
from app.telemetry.recorder import Recorder
from app.telemetry.recording import Recording, Worth

TRACE_ID = "0" * 31 + "1"


def recorder_to(spans: InMemorySpanExporter) -> Recorder:
    """Makes spans, and leaves them there."""
    return Recorder(Resource({"service.name": "test"}), SimpleSpanProcessor(spans))


def traced_to(spans: InMemorySpanExporter, trace_id: str = TRACE_ID, *, worth: Worth | None = None) -> RequestContext:
    """A request that is sampled, or with `worth` may be kept late. It has no span of its own: nobody finishes it."""
    return RequestContext("request", trace_id, Recording(trace_id, recorder_to(spans), worth))

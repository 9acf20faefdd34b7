"""Collectors of spans: OTLP over gRPC and over HTTP, as Jaeger or an OpenTelemetry collector takes it."""

import gzip
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
KINDS = {1: "internal", 2: "server", 3: "client"}


@dataclass(frozen=True)
class Span:
    name: str
    kind: str
    trace_id: str
    id: str
    parent_id: str
    """Empty where there is none."""
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    failed: bool
    start: int  # nanoseconds
    end: int
    events: Sequence[tuple[str, Mapping[str, Any]]] = ()
    links: Sequence[tuple[str, str]] = ()
    """Trace and span ids."""


class Spans:
    """What a collector was sent."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.headers: Mapping[str, str] = {}
        """Of the last request, in lower case."""

    def take(self, request: Any, headers: Mapping[str, str]) -> None:
        self.headers = headers
        for resource in request.resource_spans:
            about = _values(resource.resource.attributes)
            self.spans += [_span(span, about) for scope in resource.scope_spans for span in scope.spans]

    def of(self, trace_id: str) -> list[Span]:
        """The spans of a trace in the order of their starts."""
        return sorted((span for span in self.spans if span.trace_id == trace_id), key=lambda span: span.start)

    def wait_for(self, trace_id: str, root: str, seconds: float = 15) -> list[Span]:
        """The spans of a trace, once its outermost is there."""
        end = time.monotonic() + seconds
        while not any(span.name == root for span in self.of(trace_id)):
            assert time.monotonic() < end, f"no span {root!r} of {trace_id} in {self.spans}"
            time.sleep(0.02)
        return self.of(trace_id)


class Collector(Spans):
    """Use in `with`; `endpoint` is for OTEL_EXPORTER_OTLP_ENDPOINT."""

    def __enter__(self) -> Self:
        handler = grpc.unary_unary_rpc_method_handler(
            self._export,
            request_deserializer=service.ExportTraceServiceRequest.FromString,
            response_serializer=service.ExportTraceServiceResponse.SerializeToString,
        )
        self._server = grpc.server(ThreadPoolExecutor(2))
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": handler}),))
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def _export(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.take(request, dict(context.invocation_metadata()))
        return service.ExportTraceServiceResponse()


class HttpCollector(Spans):
    """As Collector, over HTTP; `path` is where the last request went to."""

    path = ""

    def __enter__(self) -> Self:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                collector.path = self.path
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.take(service.ExportTraceServiceRequest.FromString(body), headers)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is printed."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _span(span: Any, resource: Mapping[str, Any]) -> Span:
    return Span(
        span.name,
        KINDS[span.kind],
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _values(span.attributes),
        resource,
        span.status.code == 2,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        [(event.name, _values(event.attributes)) for event in span.events],
        [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, str(kind))

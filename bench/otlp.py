"""A small OTLP collector that counts the spans it is sent, so that the benchmark can prove they arrive.

Run as `python -m bench.otlp PORT`; on SIGTERM it prints `{"spans": {NAME: COUNT}}`.
"""

import json
import signal
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as trace

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


def serve(port: int) -> Counter[str]:
    """Collects until SIGTERM; returns the number of spans by name."""
    spans: Counter[str] = Counter()
    stop = Event()

    def export(request: trace.ExportTraceServiceRequest, _: grpc.ServicerContext) -> trace.ExportTraceServiceResponse:
        spans.update(
            span.name for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        )
        return trace.ExportTraceServiceResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        export,
        request_deserializer=trace.ExportTraceServiceRequest.FromString,
        response_serializer=trace.ExportTraceServiceResponse.SerializeToString,
    )
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", 64 << 20)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": handler}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stop.wait()
    server.stop(1).wait()
    return spans


if __name__ == "__main__":
    print(json.dumps({"spans": serve(int(sys.argv[1]))}))

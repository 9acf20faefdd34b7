"""Spans over both protocols of OTLP, each loaded only when it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.service import environment, run_to_end
from tests.telemetry.collector import Collector, HttpCollector, Spans

HEADERS = "authorization=Basic%20cGstbGYtMTIzNDU2Nzg5,x-tenant=blue"
PRINT_LOADED = (
    "import sys; from app.settings import load; from app.telemetry import traces; traces.configure(load(None)); "
    "print(*(name for name in ('grpc', 'requests', 'opentelemetry.exporter.otlp.proto.grpc',"
    " 'opentelemetry.exporter.otlp.proto.http', 'opentelemetry.sdk') if name in sys.modules))"
)


@pytest.mark.parametrize(
    ("protocol", "collector"), [("grpc", Collector()), ("http/protobuf", HttpCollector())], ids=["grpc", "http"]
)
def test_a_run_is_exported_by_either_protocol(
    serve: Serve, protocol: str, collector: Collector | HttpCollector
) -> None:
    with collector:
        service = serve(
            otel_exporter_otlp_endpoint=collector.endpoint,
            otel_exporter_otlp_protocol=protocol,
            otel_exporter_otlp_headers=HEADERS,
            otel_exporter_otlp_compression="gzip",
        )
        trace_id = service.chat("6 * 7").json()["trace_id"]
        service.end()
        _is_whole(collector, trace_id)
        assert "cGstbGYtMTIzNDU2Nzg5" not in service.raw_log()
        end = service.log("traces.end")[0]
        assert end["exported"] == end["made"] == len(collector.spans)


def _is_whole(collector: Spans, trace_id: str) -> None:
    names = [span.name for span in collector.of(trace_id)]
    assert names[:2] == ["POST /chat", "invoke_agent default"]
    assert collector.headers["authorization"] == "Basic cGstbGYtMTIzNDU2Nzg5"
    assert collector.headers["x-tenant"] == "blue"
    if isinstance(collector, HttpCollector):
        assert collector.path == "/v1/traces"


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [
        ({}, ""),
        (
            {"otel_exporter_otlp_endpoint": "http://127.0.0.1:9"},
            "grpc opentelemetry.exporter.otlp.proto.grpc opentelemetry.sdk",
        ),
        (
            {
                "otel_exporter_otlp_endpoint": "http://127.0.0.1:9",
                "otel_exporter_otlp_traces_protocol": "http/protobuf",
                "otel_exporter_otlp_protocol": "grpc",
            },
            "requests opentelemetry.exporter.otlp.proto.http opentelemetry.sdk",
        ),
    ],
    ids=["off", "grpc", "http"],
)
def test_a_protocol_is_loaded_only_when_it_is_used(settings: dict[str, str], loaded: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_LOADED],
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == loaded


def test_an_unknown_protocol_stops_the_start(tmp_path: Path) -> None:
    status, out, err = run_to_end(
        tmp_path,
        otel_exporter_otlp_endpoint="http://127.0.0.1:9",
        otel_exporter_otlp_protocol="http/json",
    )
    assert status == 2
    assert "OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' is not supported; set grpc or http/protobuf" in out + err

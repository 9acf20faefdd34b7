"""What the metrics port writes: the same as Prometheus' own client, with turns for the event loop in between."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from app.http import metrics_port

FORMATS = (
    "",
    "text/plain;version=1.0.0;escaping=allow-utf-8",
    "application/openmetrics-text;version=1.0.0",
    "application/openmetrics-text;version=0.0.1",
)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("a", "Help.\nOn two lines", registry=registry).set(2)
    counter = Counter("b", "Of `labels`", ["x"], registry=registry)
    counter.labels('"quoted"\\').inc(1, {"trace_id": "f" * 32})
    for number in range(200):
        Histogram(f"c{number}", "Many buckets", ["x"], registry=registry).labels("y").observe(number)
    monkeypatch.setattr(metrics_port, "REGISTRY", registry)
    return registry


async def written(accept: str) -> bytes:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [(b"accept", accept.encode())]}

    async def receive() -> Any:
        raise AssertionError("a GET has no body")

    await metrics_port.MetricsPort()(scope, receive, send)
    assert sent[0]["status"] == 200
    body: bytes = sent[1]["body"]
    return body


@pytest.mark.parametrize("accept", FORMATS)
async def test_each_format_is_that_of_the_client_library(registry: CollectorRegistry, accept: str) -> None:
    encode: Any = choose_encoder(accept)[0]
    assert await written(accept) == encode(registry)


async def test_others_have_their_turn_while_metrics_are_written(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics_port, "_AT_ONCE_SECONDS", 0)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await written("")
    counting.cancel()
    assert turns > 200


def test_nothing_of_ours_is_written_twice() -> None:
    names = [family.name for family in REGISTRY.collect()]
    assert len(names) == len(set(names))

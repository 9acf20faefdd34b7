import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bench import wire
from bench.connection import dechunked
from bench.load import measure, percentile
from bench.measurement import Result, Spec
from bench.upstream import Upstream


class Canned(asyncio.Protocol):
    """Answers every request with the same bytes, in two pieces."""

    def __init__(self, answer: bytes, then_close: bool) -> None:
        self._answer, self._then_close = answer, then_close
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        middle = len(self._answer) // 2
        self._transport.write(self._answer[:middle])
        self._transport.write(self._answer[middle:])
        if self._then_close:
            self._transport.close()


@asynccontextmanager
async def listening(protocol: Callable[[], asyncio.Protocol]) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def load(protocol: Callable[[], asyncio.Protocol], *, stream: bool, connections: int = 3) -> Result:
    async with listening(protocol) as port:
        body = '{"model":"fast","stream":%s,"n":"%%(turn)08d %%(session)08d"}' % str(stream).lower()  # noqa: UP031
        return await measure(
            Spec(
                port,
                "/v1/chat/completions",
                body,
                stream,
                connections,
                seconds=0.2,
                warmup=0.05,
                server_pid=os.getpid(),
                patience=0.5,  # a connection that was cut gives no answer within the window
            )
        )


@pytest.mark.parametrize("stream", [False, True])
async def test_good_answers_are_counted_and_timed(stream: bool) -> None:
    result = await load(lambda: Upstream(asyncio.get_running_loop()), stream=stream)
    assert result.errors == 0
    assert result.requests >= 3
    assert not stream or result.first_byte_p50_ms <= result.first_token_p50_ms <= result.p50_ms
    assert 0 < result.first_byte_p50_ms <= result.p50_ms <= result.p95_ms <= result.p99_ms
    assert result.server_rss_bytes > 1_000_000


@pytest.mark.parametrize(
    ("answer", "stream", "problem"),
    [
        (wire.NOT_FOUND, False, "404"),
        (wire.NOT_FOUND, True, "404"),
        (wire.response(b'{"answer":"something else"}'), False, "wrong answer"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n w00\n\r\n0\r\n\r\n", True, "cut stream"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[DO\r\n0\r\n\r\n", False, "no length"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\ndata:\r\n7\r\n [DONE]\r\n0\r\n\r\n",
            True,
            "tokens missing",
        ),
    ],
)
async def test_a_bad_answer_is_an_error_with_a_sample(answer: bytes, stream: bool, problem: str) -> None:
    result = await load(lambda: Canned(answer, then_close=False), stream=stream)
    assert result.requests == 0
    assert result.errors >= 3
    assert problem in result.error_samples[0]


async def test_a_connection_that_is_cut_is_an_error() -> None:
    result = await load(lambda: Canned(b"HTTP/1.1 200 OK\r\n\r\n", then_close=True), stream=True)
    assert result.errors == 3
    assert "connection closed" in result.error_samples[0]


def test_dechunked_joins_the_chunks() -> None:
    assert dechunked(b"HTTP/1.1 200 OK\r\n\r\n3\r\nabc\r\na;x=y\r\n0123456789\r\n0\r\n\r\n") == b"abc0123456789"


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.5) == 51
    assert percentile(values, 0.99) == 100
    assert percentile([], 0.5) == 0

"""The load generator: N connections in a closed loop, each sends its next request when it has its answer.

Run as `python -m bench.load SPEC`, SPEC being a `Spec` as JSON; prints a `Result` as JSON.
"""

import asyncio
import gc
import json
import re
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

from bench.process import cpu_seconds, resident_bytes

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_ANSWER = b" w62 w63"
_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Spec:
    """What to send, how, and whose CPU time to read meanwhile.

    `body` may hold `%(turn)08d` and `%(session)08d`. A session has `turns` turns, so that its history is
    bounded. The window lasts `seconds` after `warmup` seconds; longer, up to four times, until every
    connection had one answer in it.
    """

    port: int
    path: str
    body: str
    stream: bool
    connections: int
    seconds: float
    warmup: float
    server_pid: int
    tokens: int = 64
    first_session: int = 0
    turns: int = 4
    stagger: float = 0.0


@dataclass(slots=True)
class Result:
    """What came back within the window; latencies in milliseconds."""

    seconds: float = 0.0
    requests: int = 0
    errors: int = 0
    error_samples: list[str] = field(default_factory=list)
    server_cpu_seconds: float = 0.0
    server_rss_bytes: int = 0
    load_cpu_share: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    first_byte_p50_ms: float = 0.0


class Run:
    """What the connections share: the requests to send and what was seen."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.open = True
        self.latencies: list[float] = []
        self.first_bytes: list[float] = []
        self.errors: Counter[str] = Counter()
        self._turn = 0
        self._session = spec.first_session
        length = len(spec.body.encode() % {b"turn": 0, b"session": 0})
        head = f"POST {spec.path} HTTP/1.1\r\nhost: 127.0.0.1:{spec.port}\r\ncontent-type: application/json\r\n"
        self._request = (head + f"accept: */*\r\ncontent-length: {length}\r\n\r\n{spec.body}").encode()

    def new_session(self) -> int:
        self._session += 1
        return self._session

    def request(self, session: int) -> bytes:
        self._turn += 1
        return self._request % {b"turn": self._turn, b"session": session}

    def clear(self) -> None:
        self.latencies.clear()
        self.first_bytes.clear()
        self.errors.clear()


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time on it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = bytearray()
        self._started = 0.0
        self._first = 0.0
        self._turns = 0
        self._session = run.new_session()
        self._done = self._stream_done if run.spec.stream else self._plain_done
        self._transport: asyncio.Transport
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._run.open:
            self._run.errors[f"connection closed: {bytes(self._buffer[-200:])!r} {exc or ''}"] += 1
        self.closed.set_result(None)

    def close(self) -> None:
        self._transport.abort()

    def _send(self) -> None:
        if self._turns == self._run.spec.turns:
            self._turns, self._session = 0, self._run.new_session()
        self._turns += 1
        self._started = time.perf_counter()
        self._transport.write(self._run.request(self._session))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        if not buffer:
            self._first = time.perf_counter()
        buffer += data
        problem = self._done(buffer)
        if problem is None:
            return
        now = time.perf_counter()
        if problem or not buffer.startswith(b"HTTP/1.1 200"):
            self._run.errors[f"{problem or 'status'}: {bytes(buffer[:400])!r}"] += 1
        else:
            self._run.latencies.append(now - self._started)
            self._run.first_bytes.append(self._first - self._started)
        buffer.clear()
        if self._run.open:
            self._send()

    def _plain_done(self, buffer: bytearray) -> str | None:
        """None while incomplete, else what is wrong, which is nothing in a good answer."""
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        found = _LENGTH.search(buffer, 0, end)
        if found is None:
            return "no length" if buffer.endswith(_LAST_CHUNK) else None
        if len(buffer) < end + 4 + int(found[1]):
            return None
        return "" if _ANSWER in buffer else "wrong answer"

    def _stream_done(self, buffer: bytearray) -> str | None:
        if not buffer.endswith(_LAST_CHUNK):
            return self._plain_done(buffer) if not buffer.startswith(b"HTTP/1.1 200") else None
        if b"data: [DONE]" not in buffer and b"data: [DONE]" not in dechunked(buffer):
            return "cut stream"
        if buffer.count(b" w") < self._run.spec.tokens:
            return "tokens missing"
        return ""


def dechunked(buffer: bytes | bytearray) -> bytes:
    """The body of a chunked response."""
    body = bytearray()
    at = buffer.find(b"\r\n\r\n") + 4
    while size := int(buffer[at : (line := buffer.find(b"\r\n", at))].split(b";")[0], 16):
        body += buffer[line + 2 : line + 2 + size]
        at = line + 2 + size + 2
    return bytes(body)


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


async def measure(spec: Spec) -> Result:
    """Connects, warms up, measures one window, closes."""
    loop = asyncio.get_running_loop()
    run = Run(spec)
    connections: list[Connection] = []
    for number in range(spec.connections):
        _, connection = await loop.create_connection(lambda: Connection(run), "127.0.0.1", spec.port)
        connections.append(connection)
        if spec.stagger:
            await asyncio.sleep(spec.stagger / spec.connections)
        elif number % 32 == 31:
            await asyncio.sleep(0.01)
    gc.freeze()
    gc.disable()
    await asyncio.sleep(spec.warmup)
    early_errors = run.errors.copy()
    run.clear()
    start, cpu, own = time.perf_counter(), cpu_seconds(spec.server_pid), time.process_time()
    while (elapsed := time.perf_counter() - start) < spec.seconds * 4:
        if elapsed >= spec.seconds and len(run.latencies) + run.errors.total() >= spec.connections:
            break
        await asyncio.sleep(max(spec.seconds - elapsed, 0.05))
    seconds, used = time.perf_counter() - start, cpu_seconds(spec.server_pid) - cpu
    own = time.process_time() - own
    rss = resident_bytes(spec.server_pid)
    latencies, first_bytes, errors = list(run.latencies), list(run.first_bytes), run.errors + early_errors
    run.open = False
    for connection in connections:
        connection.close()
    await asyncio.gather(*(connection.closed for connection in connections))
    return Result(
        seconds=seconds,
        requests=len(latencies),
        errors=errors.total(),
        error_samples=[text for text, _ in errors.most_common(_SAMPLES)],
        server_cpu_seconds=used,
        server_rss_bytes=rss,
        load_cpu_share=own / seconds,
        p50_ms=percentile(latencies, 0.50) * 1000,
        p95_ms=percentile(latencies, 0.95) * 1000,
        p99_ms=percentile(latencies, 0.99) * 1000,
        first_byte_p50_ms=percentile(first_bytes, 0.50) * 1000,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(measure(Spec(**json.loads(sys.argv[1])))))))

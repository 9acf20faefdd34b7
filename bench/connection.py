"""The load generator's connections: each sends its next request when it has its answer."""

import asyncio
import re
import time
from collections import Counter
from typing import cast

from bench.measurement import Spec

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_ANSWER = b" w62 w63"
_FIRST_TOKEN = b"w00"


class Run:
    """What the connections share: the requests to send and what was seen."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.open = True
        self.latencies: list[float] = []
        self.first_bytes: list[float] = []
        self.first_tokens: list[float] = []
        self.errors: Counter[str] = Counter()
        self._turn = 0
        self._session = 0
        self._request = spec.request()

    def new_session(self) -> int:
        self._session += 1
        return self._session

    def request(self, session: int) -> bytes:
        self._turn += 1
        return self._request % {b"turn": self._turn, b"session": session}

    def clear(self) -> None:
        self.latencies.clear()
        self.first_bytes.clear()
        self.first_tokens.clear()
        self.errors.clear()


class Connection(asyncio.Protocol):
    """One keep-alive connection with one request at a time on it."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = bytearray()
        self._started = 0.0
        self._first = 0.0
        self._token = 0.0
        self._turns = 0
        self._session = run.new_session()
        self._done = self._stream_done if run.spec.stream else self._plain_done
        self._transport: asyncio.Transport
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._run.open:
            self._run.errors[f"connection closed: {bytes(self._buffer[-200:])!r} {exc or ''}"] += 1
        self.closed.set_result(None)

    def close(self) -> None:
        self._transport.abort()

    def send(self) -> None:
        if self._turns == self._run.spec.turns:
            self._turns, self._session = 0, self._run.new_session()
        self._turns += 1
        self._started = time.perf_counter()
        self._transport.write(self._run.request(self._session))

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        if not buffer:
            self._first, self._token = time.perf_counter(), 0.0
        buffer += data
        if not self._token and _FIRST_TOKEN in buffer:
            self._token = time.perf_counter()
        problem = self._done(buffer)
        if problem is None:
            return
        now = time.perf_counter()
        if problem or not buffer.startswith(b"HTTP/1.1 200"):
            self._run.errors[f"{problem or 'status'}: {bytes(buffer[:400])!r}"] += 1
        else:
            self._run.latencies.append(now - self._started)
            self._run.first_bytes.append(self._first - self._started)
            self._run.first_tokens.append(self._token - self._started)
        buffer.clear()
        if self._run.open:
            self.send()

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

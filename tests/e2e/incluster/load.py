"""A steady load on the service from inside the cluster, through its Service, and an honest count of what failed.

    python load.py URL PLAIN_PER_SECOND OPEN_STREAMS STOP_FILE

Plain requests start on a fixed schedule, whatever the earlier ones do: half of them on a connection of their own,
half on connections that are kept and used again as HTTP allows. The streams are kept at their number. Nothing is
tried again. When STOP_FILE exists no more is started; what is open is waited for; one line of JSON is the result.
Standard library only: it runs in a pod of the service's own image.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 90
STREAM_SECONDS = (4.0, 16.0)


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes
    closes: bool


@dataclass(slots=True)
class Result:
    plain: int = 0
    streams: int = 0
    failed: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    shed: int = 0
    """How many of `failed` and `cut` were refused before they began: by 503, or since no pod took connections."""
    latencies: list[float] = field(default_factory=list)
    least_open: int = 10**9
    reused: int = 0
    seconds: float = 0.0

    def summary(self) -> dict[str, object]:
        ordered = sorted(self.latencies) or [0.0]
        return {
            "plain": self.plain,
            "streams": self.streams,
            "failed": len(self.failed),
            "cut": len(self.cut),
            "shed": self.shed,
            "examples": sorted(self.failed + self.cut, key=lambda line: "RefusedError" in line or ": 503" in line)[:20],
            "p50_ms": round(1000 * ordered[len(ordered) // 2], 1),
            "p99_ms": round(1000 * ordered[int(len(ordered) * 0.99)], 1),
            "max_ms": round(1000 * ordered[-1], 1),
            "least_open_streams": self.least_open,
            "on_kept_connections": self.reused,
            "seconds": round(self.seconds, 1),
        }


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.used = False

    def close(self) -> None:
        self.writer.close()

    async def post(self, host: str, path: str, body: dict[str, str]) -> Answer:
        """Raises OSError, ValueError or IncompleteReadError when there is no whole answer."""
        data = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        )
        self.writer.write(head.encode() + b"\r\n" + data)
        await self.writer.drain()
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if headers.get("transfer-encoding") == "chunked":
            parts = []
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                parts.append(await self.reader.readexactly(size))
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
            content = b"".join(parts)
        elif "content-length" in headers:
            content = await self.reader.readexactly(int(headers["content-length"]))
        else:
            content = await self.reader.read()
        closes = headers.get("connection", "").lower() == "close"
        return Answer(int(lines[0].split()[1]), content, closes)


class Load:
    def __init__(self, url: str, stop: Path) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.stop = stop
        self.result = Result()
        self.idle: list[Connection] = []
        self.open_streams = 0
        self.started = time.monotonic()

    async def connect(self) -> Connection:
        return Connection(*await asyncio.open_connection(self.host, self.port))

    async def take(self, keep: bool) -> Connection:
        """A kept connection that the server has not closed, else a new one."""
        while keep and self.idle:
            connection = self.idle.pop()
            if not connection.reader.at_eof():
                connection.used = True
                return connection
            connection.close()
        return await self.connect()

    async def exchange(self, path: str, message: str, keep: bool) -> Answer:
        connection = None
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                connection = await self.take(keep)
                self.result.reused += connection.used
                answer = await connection.post(self.host, path, {"message": message})
        except BaseException:
            if connection:
                connection.close()
            raise
        if keep and not answer.closes:
            self.idle.append(connection)
        else:
            connection.close()
        return answer

    def tell(self, failures: list[str], kind: str, what: str, *, shed: bool) -> None:
        self.result.shed += shed
        failures.append(f"{time.monotonic() - self.started:.1f} s: {kind}: {what}")

    async def plain(self, keep: bool) -> None:
        self.result.plain += 1
        started = time.monotonic()
        kind = "kept connection" if keep else "new connection"
        try:
            answer = await self.exchange("/chat", "What is 6 * 7?", keep)
            if answer.status != 200 or not json.loads(answer.body)["answer"]:
                self.tell(self.result.failed, kind, f"{answer.status} {answer.body[:200]!r}", shed=answer.status == 503)
        except (OSError, ValueError, KeyError, EOFError) as error:
            self.tell(self.result.failed, kind, repr(error), shed=isinstance(error, ConnectionRefusedError))
        self.result.latencies.append(time.monotonic() - started)

    async def stream(self) -> None:
        self.result.streams += 1
        self.open_streams += 1
        try:
            answer = await self.exchange("/chat/stream", f"hold {random.uniform(*STREAM_SECONDS):.1f}", keep=False)
            lines = answer.body.decode().strip().splitlines()
            whole = "event: run.finished" in lines and lines[-1] == "data: [DONE]"
            if answer.status != 200 or not whole:
                said = f"{answer.status}, last lines {lines[-4:]}"[:300]
                self.tell(self.result.cut, "stream", said, shed=answer.status == 503)
        except (OSError, ValueError, EOFError) as error:
            shed = isinstance(error, ConnectionRefusedError)
            self.tell(self.result.cut, "stream", repr(error), shed=shed)
            await asyncio.sleep(1 if shed else 0)  # as a client would
        finally:
            self.open_streams -= 1

    async def run(self, plain_per_second: float, streams: int) -> Result:
        stopped = asyncio.Event()

        async def keep_streaming() -> None:
            while not stopped.is_set():
                await self.stream()

        async def send_plain(tasks: asyncio.TaskGroup) -> None:
            count = 0
            while not stopped.is_set():
                tasks.create_task(self.plain(keep=count % 2 == 0))
                count += 1
                await asyncio.sleep(max(0.0, self.started + count / plain_per_second - time.monotonic()))

        async def watch() -> None:
            await asyncio.sleep(2)
            while not stopped.is_set():
                self.result.least_open = min(self.result.least_open, self.open_streams)
                if self.stop.exists():
                    self.result.seconds = time.monotonic() - self.started
                    stopped.set()
                await asyncio.sleep(0.1)

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch())
            if plain_per_second:
                tasks.create_task(send_plain(tasks))
            for _ in range(streams):
                tasks.create_task(keep_streaming())
        return self.result


if __name__ == "__main__":
    url, plain_per_second, open_streams, stop_file = sys.argv[1:]
    Path(stop_file).unlink(missing_ok=True)
    load = Load(url, Path(stop_file))
    print("started", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        finished = asyncio.run(load.run(float(plain_per_second), int(open_streams)))
        print(json.dumps(finished.summary()), flush=True)

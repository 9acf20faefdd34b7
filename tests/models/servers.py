"""An HTTP server on a real socket that answers as a test tells it, byte for byte."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Ending = Literal["complete", "cut", "reset", "silent"]
"""`cut` leaves the body without its end, `reset` breaks the connection, `silent` keeps it open and says nothing."""


@dataclass(frozen=True)
class Reply:
    """`pieces` are written as one chunk of the body each, `pause` seconds apart."""

    pieces: Sequence[bytes] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    ending: Ending = "complete"
    pause: float = 0

    def ending_with(self, ending: Ending) -> "Reply":
        return Reply(self.pieces, self.status, self.headers, ending, self.pause)

    def with_pieces(self, pieces: Sequence[bytes]) -> "Reply":
        return Reply(pieces, self.status, self.headers, self.ending, self.pause)

    def whole(self) -> bytes:
        return b"".join(self.pieces)


NO_ANSWER = Reply(status=0, ending="silent")
"""Not even headers."""


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]  # by names in lower case
    body: Any  # JSON


class Provider:
    """Gives its replies in turn, the last one again and again."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.received: list[Received] = []
        self.connections = 0
        self.left = asyncio.Event()  # a client closed its connection in the midst of an answer
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def will(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def reply_to(self, request: Received) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self.connections += 1
        try:
            while request := await _read(reader):
                self.received.append(request)
                if not await self._answer(self.reply_to(request), reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reply: Reply, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Returns whether the connection stays usable."""
        if reply.status:
            headers = {"Content-Type": "application/json", **reply.headers, "Transfer-Encoding": "chunked"}
            lines = [f"HTTP/1.1 {reply.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
            writer.write("\r\n".join([*lines, "", ""]).encode())
        for piece in reply.pieces:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(reply.pause)
        match reply.ending:
            case "complete":
                writer.write(b"0\r\n\r\n")
                await writer.drain()
                return True
            case "reset":
                writer.transport.abort()
            case "silent":
                await reader.read()
                self.left.set()
            case "cut":
                pass
        return False


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Received(method, path, headers, json.loads(body) if body else None)

"""The ways to an MCP server, with bounds on what it may send: streamable HTTP, and a program that is started here."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from ssl import SSLContext

import anyio
import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from app.tools.mcp.servers_file import McpServer

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
CONNECT_SECONDS = 5.0
READ_SECONDS = 300.0
"""Of silence on a stream; each call has a deadline of its own."""
GRACE_SECONDS = 2.0
"""That a program has to end after its input is closed."""


class TooLarge(httpx2.StreamError):
    """An answer has more than MAX_MESSAGE_BYTES, or hides how many it has."""


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = 0
        async for chunk in self._stream:
            total += len(chunk)
            if total > MAX_MESSAGE_BYTES:
                raise TooLarge("The server's answer is too large.")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


class BoundedTransport(httpx2.AsyncHTTPTransport):
    """Bounds answers that are no event streams: the SDK bounds a stream's events itself."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await super().handle_async_request(request)
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            await response.aclose()
            raise TooLarge("The server's answer is compressed, which was not asked for.")
        events = response.headers.get("content-type", "").lower().startswith("text/event-stream")
        if not events and isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Bounded(response.stream)
        return response


def transport_of(
    server: McpServer, tls: SSLContext, on_end: Callable[[], None]
) -> AbstractAsyncContextManager[TransportStreams]:
    """`on_end` is called when a program has ended."""
    return _http(server, tls) if server.url else _program(server, on_end)


@asynccontextmanager
async def _http(server: McpServer, tls: SSLContext) -> AsyncGenerator[TransportStreams]:
    """Redirects are followed within the server's origin only, and proxies of the environment not used."""
    async with (
        httpx2.AsyncClient(
            headers={**server.sent_headers(), "Accept-Encoding": "identity"},
            transport=BoundedTransport(verify=tls),
            timeout=httpx2.Timeout(CONNECT_SECONDS, read=READ_SECONDS),
            trust_env=False,
        ) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=MAX_MESSAGE_BYTES) as streams,
    ):
        yield streams


@asynccontextmanager
async def _program(server: McpServer, on_end: Callable[[], None]) -> AsyncGenerator[TransportStreams]:
    """It has nothing of the service's environment, and what it writes to stderr is lost."""
    process = await asyncio.create_subprocess_exec(
        server.command,
        *server.args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=dict(server.process_environment()),
        start_new_session=True,
        limit=MAX_MESSAGE_BYTES,
    )
    assert process.stdin is not None  # noqa: S101 - asked for above
    assert process.stdout is not None  # noqa: S101
    to_us, read = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write, from_us = anyio.create_memory_object_stream[SessionMessage](0)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = (
                group.create_task(_read(process.stdout, to_us, on_end)),
                group.create_task(_write(process.stdin, from_us)),
            )
            yield read, write
            for task in tasks:
                task.cancel()
    finally:
        for stream in (to_us, read, write, from_us):
            stream.close()
        await _end(process)


async def _read(
    stdout: asyncio.StreamReader,
    to_us: anyio.abc.ObjectSendStream[SessionMessage | Exception],
    on_end: Callable[[], None],
) -> None:
    """Until its end, or a line that is too long."""
    async with to_us:
        with suppress(ValueError, anyio.BrokenResourceError):  # too long; nobody reads any more
            while line := await stdout.readline():
                await to_us.send(_message(line))
    on_end()


def _message(line: bytes) -> SessionMessage | Exception:
    try:
        return SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
    except ValueError as error:
        return error


async def _write(stdin: asyncio.StreamWriter, from_us: anyio.abc.ObjectReceiveStream[SessionMessage]) -> None:
    with suppress(ConnectionError):
        async for sent in from_us:
            stdin.write(sent.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
            await stdin.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    """With all that it has started."""
    assert process.stdin is not None  # noqa: S101
    process.stdin.close()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        pass
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()

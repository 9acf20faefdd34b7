"""The ways to an MCP server, with bounds on what it may send: streamable HTTP here, programs in program.py."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ssl import SSLContext

import httpx2
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from app.tools.mcp.program import MAX_MESSAGE_BYTES, program
from app.tools.mcp.servers_file import McpServer

CONNECT_SECONDS = 5.0
READ_SECONDS = 300.0
"""Of silence on a stream; each call has a deadline of its own."""


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
    return _http(server, tls) if server.url else program(server, on_end)


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

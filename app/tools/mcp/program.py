"""An MCP server that is a program (stdio): started with nothing of the environment, and ended with all it started."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import anyio
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from app.tools.mcp.servers_file import McpServer

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
GRACE_SECONDS = 2.0
"""That a program has to end after its input is closed."""


@asynccontextmanager
async def program(server: McpServer, on_end: Callable[[], None]) -> AsyncGenerator[TransportStreams]:
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
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - output that nobody read holds its pipe

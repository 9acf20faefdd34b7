"""A connection to one MCP server: made in the background, looked at, and made again when it is lost."""

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from ssl import SSLContext
from typing import Any, Literal

import anyio
import mcp_types as types
from mcp import Client, MCPError
from pydantic import ValidationError

from app import __version__
from app.telemetry.logs import log
from app.tools.mcp.definition import Definition
from app.tools.mcp.looking import Offer, look, reason_of
from app.tools.mcp.results import text_of
from app.tools.mcp.servers_file import McpServer
from app.tools.mcp.transports import transport_of
from app.tools.output import clean
from app.tools.tool import ToolError

CONNECT_SECONDS = 10.0
FIRST_SECONDS = 5.0
"""That a call waits for a connection that is being made for the first time."""
LOOK_SECONDS = 60.0
"""Between two looks at what the server offers, beside those that it asks for itself."""
SOONEST_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
_AGAIN_SECONDS = 1.0
_MAX_LOGGED = 20
_MAX_NAME_CHARS = 64

Status = Literal["connecting", "ok", "away"]


class Connection:
    """`run` keeps it; `call` may be used from any task."""

    def __init__(
        self, server: McpServer, pinned: Mapping[str, Definition], tls: SSLContext, on_look: Callable[[], None]
    ) -> None:
        """`on_look` is called when what the server offers has been looked at, or cannot be."""
        self.server = server
        self.status: Status = "connecting"
        self.offer = Offer(dict.fromkeys(pinned, "unknown"))
        self._pinned = pinned
        self._tls = tls
        self._on_look = on_look
        self._client: Client | None = None
        self._due = inf  # when the connection is given up, by the loop's time
        self._tried = asyncio.Event()
        self._wake = asyncio.Event()

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """The tool's answer. Raises ToolError, which says why there is none."""
        client = await self._connected(tool)
        request = types.CallToolRequest(params=types.CallToolRequestParams(name=tool, arguments=dict(arguments)))
        try:
            # The SDK's call_tool would check the answer against the server's own schema, in unbounded time.
            result = await client.session.send_request(request, types.CallToolResult)
        except MCPError as error:
            self._wake.set()  # the connection may be gone
            raise ToolError(f"The server {self.server.name} failed: {error.message}") from None
        except ValidationError:
            raise ToolError(f"The server {self.server.name} gave an answer that cannot be read.") from None
        except (anyio.ClosedResourceError, anyio.BrokenResourceError, RuntimeError):
            self._wake.set()
            raise ToolError(f"The connection to the server {self.server.name} was lost.") from None
        text = text_of(result)
        if result.is_error:
            raise ToolError(text)
        return text

    async def _connected(self, tool: str) -> Client:
        if not self._tried.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FIRST_SECONDS):
                    await self._tried.wait()
        if self._client is None:
            raise ToolError(f"The server {self.server.name} cannot be reached at the moment.")
        if (state := self.offer.states[tool]) != "on":
            why = "has changed it since" if state == "changed" else "does not offer it any more"
            raise ToolError(f"This tool is off until a person approves it again: the server {self.server.name} {why}.")
        return self._client

    async def run(self) -> None:
        """Connect, again and again, until cancelled."""
        failures = 0
        while True:
            ended_by = await self._attempt()
            failures = 1 if self.status == "ok" else failures + 1
            self._away(ended_by, failures)
            pause = min(2.0 ** (failures - 1), LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads reconnections

    async def _attempt(self) -> BaseException:
        """One connection, from its begin to its end: returns what ended it, whatever that was."""
        # A task of its own, which is cancelled until it is over: the SDK's scopes may swallow a cancellation.
        self._give_up_in(CONNECT_SECONDS)
        task = asyncio.create_task(self._stay_connected(), name=f"mcp {self.server.name}")
        late = False
        try:
            while not task.done():
                await asyncio.wait((task,), timeout=_AGAIN_SECONDS)
                late = asyncio.get_running_loop().time() >= self._due
                if late:
                    task.cancel()
        except asyncio.CancelledError:
            while not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=_AGAIN_SECONDS)
            raise
        if late:
            return TimeoutError()
        return asyncio.CancelledError() if task.cancelled() else task.exception() or ConnectionError()

    def _give_up_in(self, seconds: float) -> None:
        self._due = asyncio.get_running_loop().time() + seconds

    async def _stay_connected(self) -> None:
        """Raises whatever ends the connection."""
        client = Client(
            transport_of(self.server, self._tls, self._wake.set),
            cache=None,
            message_handler=self._heard,
            client_info=types.Implementation(name="agent-api", version=__version__),
        )
        async with client:
            try:
                while True:
                    self._take(await look(client, self._pinned, self.server.allows))
                    self._client = client
                    self._tried.set()
                    self._due = inf
                    await self._until_next_look()
                    self._give_up_in(CONNECT_SECONDS)
            finally:
                self._client = None
                self._give_up_in(CONNECT_SECONDS)

    async def _until_next_look(self) -> None:
        await asyncio.sleep(SOONEST_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._wake.wait()
        self._wake.clear()

    async def _heard(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._wake.set()

    def _take(self, offer: Offer) -> None:
        changed = offer != self.offer or self.status != "ok"
        self.offer, self.status = offer, "ok"
        if not changed:
            return
        self._on_look()
        off = {state: [name for name, is_ in offer.states.items() if is_ == state] for state in ("changed", "gone")}
        on = len([state for state in offer.states.values() if state == "on"])
        if off["changed"] or off["gone"] or offer.new:
            log.warning(
                "mcp.tools.off",
                server=self.server.name,
                tools=on,
                changed=off["changed"],
                gone=off["gone"],
                new=_shown(offer.new),
            )
        else:
            log.info("mcp.connected", server=self.server.name, tools=on)

    def _away(self, error: BaseException, failures: int) -> None:
        self.status = "away"
        self._tried.set()
        if failures == 1:
            log.warning("mcp.away", server=self.server.name, error=reason_of(error))
            self._on_look()


def _shown(names: tuple[str, ...]) -> list[str]:
    """For the log: a server's own words."""
    return [clean(name[:_MAX_NAME_CHARS]) for name in names[:_MAX_LOGGED]]

"""How uvicorn serves here, and a further port beside the API's, or without one, on the same event loop."""

import asyncio
import socket
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from app.api.refusals import refuse_uncounted
from app.http import metrics_port
from app.http.connections import Connections
from app.http.protocol import HttpProtocol
from app.http.sockets import BACKLOG

LAST_WORDS_SECONDS = 2
"""For runs that the end of the drain cut off to say so."""


def configured(app: ASGIApp, http: Any) -> uvicorn.Config:
    """What uvicorn is told; `http` makes the protocol of a connection."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=http,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_WORDS_SECONDS + 1,
    )


class SidePort:
    """Serves an app with the bounds of the metrics' port."""

    def __init__(self, servers: Sequence[asyncio.Server], state: ServerState) -> None:
        self._servers = servers
        self._state = state

    @classmethod
    async def open(cls, app: ASGIApp, sockets: Sequence[socket.socket]) -> Self:
        state = ServerState()
        protocol = partial(
            HttpProtocol,
            shared=Connections(metrics_port.BOUNDS, refuse_uncounted),
            config=configured(app, http="httptools"),
            server_state=state,
            app_state={},
        )
        loop = asyncio.get_running_loop()
        servers = [await loop.create_server(protocol, sock=one, backlog=BACKLOG) for one in sockets]
        return cls(servers, state)

    def close(self) -> None:
        for server in self._servers:
            server.close()
        abort_connections(self._state)


def abort_connections(state: ServerState) -> None:
    """Of clients that do not read: what is left to send to them would keep the process for ever."""
    for connection in tuple(state.connections):
        if connection.transport is not None:
            connection.transport.abort()

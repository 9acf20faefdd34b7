"""The process that serves: its sockets, its life from start to drain to shutdown."""

import asyncio
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from types import FrameType

import uvicorn

from app.api.lifecycle import Lifecycle
from app.api.middleware import PROBES
from app.api.refusals import refuse
from app.errors import ConfigurationError
from app.http.connections import Bounds, Connections
from app.http.metrics_port import MetricsPort
from app.http.protocol import HttpProtocol
from app.http.side_port import LAST_WORDS_SECONDS, SidePort, abort_connections, configured
from app.http.sockets import listen
from app.main import create_app
from app.memory import settle_down
from app.settings import Settings, load
from app.telemetry import logs
from app.telemetry.logs import log

_QUIET_SECONDS = 1.0  # without a new request before a draining process leaves: kept-alive connections are told by then
_OTHER_FILES = 1024  # that a process opens beside its connections: to models, to the store


class Server(uvicorn.Server):
    """uvicorn's server with a drain before its shutdown, and a second port for metrics.

    On SIGTERM or SIGINT `/ready` says no at once, while the listening socket stays open: probes and late requests are
    answered, each told to close its connection. When nothing is left to do, or `drain_seconds` are over, it shuts
    down and returns; a second SIGINT ends the wait.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        lifecycle: Lifecycle,
        drain_seconds: float,
        cut_off: Callable[[], None],
        metrics_sockets: Sequence[socket.socket],
    ) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_seconds = drain_seconds
        self._cut_off = cut_off
        self._metrics_sockets = metrics_sockets
        self._impatient = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            self._impatient = True  # uvicorn's own `force_exit` would leave the shutdown out as well
        self._lifecycle.state = "draining"
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._metrics = await SidePort.open(MetricsPort(), self._metrics_sockets)

    async def main_loop(self) -> None:
        await super().main_loop()
        log.info("drain.start", drain_seconds=self._drain_seconds)
        self._lifecycle.drain()
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._drain_seconds
        quiet = self._lifecycle.quiet_seconds
        while clock() < deadline and not self._impatient and quiet() < _QUIET_SECONDS:  # noqa: ASYNC110 - waits for time
            await asyncio.sleep(0.05)
        log.info("drain.end", cut=self._lifecycle.active)
        self._lifecycle.cut()
        self._cut_off()
        asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, abort_connections, self.server_state)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self._metrics.close()


def serve() -> int:
    """Serves until it is told to leave. Returns the exit status: 0 after an orderly end, 2 for settings that cannot
    be used, 1 for any other failure."""
    try:
        settings = load()
        logs.configure(settings)
        lifecycle = Lifecycle(settings.max_active_requests)
        app = create_app(settings, lifecycle)
        sockets, metrics_sockets = _listen(settings)
    except ConfigurationError as error:
        print(f"agent-api cannot start:\n{error}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet
        return 2
    _allow_files(settings.max_connections)
    bounds = Bounds.of(settings, spared=PROBES)
    config = configured(app, http=partial(HttpProtocol, shared=Connections(bounds, refuse)))
    server = Server(config, lifecycle, settings.drain_seconds, app.state.runner.stop, metrics_sockets)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    _log_start(settings, sockets[0], metrics_sockets[0])
    settle_down()
    server.run(sockets=sockets)
    return 0 if server.started else 1


def _listen(settings: Settings) -> tuple[list[socket.socket], list[socket.socket]]:
    """The sockets of the API and of the metrics. Raises ConfigurationError, and leaves none open then."""
    with ExitStack() as opened:
        sockets = listen(settings.host, settings.port, "PORT")
        for one in sockets:
            opened.enter_context(one)
        metrics_sockets = listen(settings.host, settings.metrics_port, "METRICS_PORT")
        opened.pop_all()
    return sockets, metrics_sockets


def _log_start(settings: Settings, api: socket.socket, metrics: socket.socket) -> None:
    host, port = api.getsockname()[:2]
    log.info("start", host=host, port=port, metrics_port=metrics.getsockname()[1], models=settings.models)


def _allow_files(connections: int) -> None:
    """Raises the limit of open files (1,024 on many machines) as far as it may be and the connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft not in (resource.RLIM_INFINITY,) and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

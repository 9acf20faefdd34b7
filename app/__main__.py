"""`python -m app`: serve, and leave in order when asked to."""

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import prometheus_client
import uvicorn

from app import keys
from app.api.lifecycle import Lifecycle
from app.errors import ConfigurationError
from app.main import create_app
from app.settings import Settings, load
from app.telemetry import logs
from app.telemetry.logs import log

_QUIET_SECONDS = 1.0  # without a new request before a draining process leaves: kept-alive connections are told by then
_LAST_WORDS_SECONDS = 2  # for runs that the end of the drain cut off to say so
_KEEP_ALIVE_SECONDS = 75  # above what load balancers keep idle connections for, so that they close them and not we
_GC_THRESHOLD = (20_000, 20, 20)


class Server(uvicorn.Server):
    """uvicorn's server with a drain before its shutdown.

    On SIGTERM or SIGINT `/ready` says no at once, while the listening socket stays open: probes and late requests are
    answered, each told to close its connection. When nothing is left to do, or `drain_seconds` are over, it shuts
    down and returns; a second SIGINT ends the wait.
    """

    def __init__(
        self, config: uvicorn.Config, lifecycle: Lifecycle, drain_seconds: float, cut_off: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_seconds = drain_seconds
        self._cut_off = cut_off
        self._impatient = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit and sig == signal.SIGINT:
            self._impatient = True  # uvicorn's own `force_exit` would leave the shutdown out as well
        self._lifecycle.state = "draining"
        self.should_exit = True

    async def main_loop(self) -> None:
        await super().main_loop()
        log.info("drain.start", drain_seconds=self._drain_seconds)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._drain_seconds
        quiet = self._lifecycle.quiet_seconds
        while clock() < deadline and not self._impatient and quiet() < _QUIET_SECONDS:  # noqa: ASYNC110 - waits for time
            await asyncio.sleep(0.05)
        log.info("drain.end", cut=self._lifecycle.active)
        self._lifecycle.cut_off.set()
        self._cut_off()
        asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._abort_connections)

    def _abort_connections(self) -> None:
        """Of clients that do not read: what is left to send to them would keep the process for ever."""
        for connection in self.server_state.connections:
            if connection.transport is not None:
                connection.transport.abort()


def main() -> int:
    """Returns the exit status: 0 after an orderly end, 2 for settings that cannot be used, 1 for any other failure."""
    if sys.argv[1:]:
        return keys.command(sys.argv[1:])
    try:
        settings = load()
        logs.configure(settings)
        lifecycle = Lifecycle()
        app = create_app(settings, lifecycle)
        listener = _listen(settings.host, settings.port)
        metrics_server, _ = _serve_metrics(settings)
    except ConfigurationError as error:
        print(f"agent-api cannot start:\n{error}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet
        return 2
    server = Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_LAST_WORDS_SECONDS + 1,
        ),
        lifecycle,
        settings.drain_seconds,
        cut_off=app.state.runner.stop,
    )
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    host, port = listener.getsockname()[:2]
    log.info("start", host=host, port=port, metrics_port=metrics_server.server_port, models=settings.models)
    gc.collect()
    gc.freeze()  # what start-up made stays; the collector need not look at it again
    gc.set_threshold(*_GC_THRESHOLD)
    server.run(sockets=[listener])
    metrics_server.shutdown()
    metrics_server.server_close()
    return 0 if server.started else 1


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
        )
    except OSError as error:
        raise _cannot_listen("PORT", host, port, error) from None


def _serve_metrics(settings: Settings) -> Any:
    try:
        return prometheus_client.start_http_server(settings.metrics_port, settings.host)
    except OSError as error:
        raise _cannot_listen("METRICS_PORT", settings.host, settings.metrics_port, error) from None


def _cannot_listen(port_setting: str, host: str, port: int, error: OSError) -> ConfigurationError:
    no_such_address = error.errno == errno.EADDRNOTAVAIL or (error.errno or 0) < 0  # below 0: of the name's look-up
    setting = "HOST" if no_such_address else port_setting
    reason = str(error.strerror).partition(" (while ")[0]
    return ConfigurationError(f"{setting}: cannot listen on {host}:{port}: {reason}")


if __name__ == "__main__":
    sys.exit(main())

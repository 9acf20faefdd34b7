"""`python -m app worker`: the process that works on background runs and serves nobody, from its start to its end."""

import asyncio
import logging
import signal
import socket
import sys
from collections.abc import Sequence

import uvloop

from app.api.lifecycle import Lifecycle
from app.errors import ConfigurationError
from app.http.side_port import SidePort
from app.http.sockets import listen
from app.http.worker_port import WorkerPort
from app.main import WorkerProcess, create_worker
from app.memory import settle_down
from app.settings import Settings, load
from app.telemetry import logs
from app.telemetry.logs import log


def work() -> int:
    """Works until it is told to leave. Returns the exit status: 0 after an orderly end, 2 for settings that cannot be
    used, 1 for any other failure."""
    try:
        settings = load()
        logs.configure(settings)
        _check(settings)
        worker = create_worker(settings, lifecycle := Lifecycle())
        sockets = listen(settings.host, settings.metrics_port, "METRICS_PORT")
    except ConfigurationError as error:
        print(f"agent-api cannot start:\n{error}", file=sys.stderr)  # noqa: T201 - logging may not be set up yet
        return 2
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
    settle_down()
    return uvloop.run(_live(worker, lifecycle, settings, sockets))


def _check(settings: Settings) -> None:
    """Raises ConfigurationError for a worker that would never find a run."""
    if settings.redis_url is None:
        raise ConfigurationError(
            "REDIS_URL: is not set, so this worker would see no runs but its own, and it has none: set it to the store "
            "that the API's processes share, or leave the work to them (WORKERS)"
        )
    if not settings.workers:
        raise ConfigurationError("WORKERS: is 0, so this worker would take no run: set it to at least 1")


async def _live(
    worker: WorkerProcess, lifecycle: Lifecycle, settings: Settings, sockets: Sequence[socket.socket]
) -> int:
    port = await SidePort.open(WorkerPort(lifecycle), sockets)
    metrics_port = sockets[0].getsockname()[1]
    log.info("worker.start", metrics_port=metrics_port, workers=settings.workers, models=settings.models)
    running = asyncio.create_task(worker.run())
    _leave_on_signals(worker, lifecycle, running, settings.drain_seconds)
    try:
        await asyncio.wait([running])
        if running.cancelled() and lifecycle.draining:
            return 0
        if (error := running.exception()) is not None:
            log.error("worker.failed", exc_info=error)
            return 1
        return 0
    finally:
        port.close()
        log.info("drain.end", cut=int(running.cancelled()))


def _leave_on_signals(
    worker: WorkerProcess, lifecycle: Lifecycle, running: asyncio.Task[None], drain_seconds: float
) -> None:
    """SIGTERM and SIGINT have the runs handed back; a second SIGINT, or the end of the drain, does not wait for it."""
    loop = asyncio.get_running_loop()

    def leave(number: int) -> None:
        if lifecycle.draining:
            if number == signal.SIGINT:
                running.cancel()
            return
        log.info("drain.start", drain_seconds=drain_seconds)
        worker.stop()
        loop.call_later(drain_seconds, running.cancel)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave, number)

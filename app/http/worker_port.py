"""The port of a worker: its probes beside its metrics, for it has no API."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.json_answer import json_answer
from app.api.lifecycle import Lifecycle
from app.api.schemas import Status
from app.http.metrics_port import MetricsPort


class WorkerPort:
    """The ASGI app: `/live` and `/ready` as the API answers them, and the metrics at every other path."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._metrics = MetricsPort()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD") and scope["path"] == "/live":
            await _status("alive", 200)(scope, receive, send)
        elif scope["method"] in ("GET", "HEAD") and scope["path"] == "/ready":
            readiness = self._lifecycle.readiness
            await _status(readiness, 200 if readiness == "ready" else 503)(scope, receive, send)
        else:
            await self._metrics(scope, receive, send)


def _status(word: str, status: int) -> Response:
    return json_answer(Status(word), status=status)

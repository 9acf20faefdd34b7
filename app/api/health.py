"""`/live`, `/ready` and `/health`: three questions, none of which costs I/O to answer."""

import time

import msgspec
from starlette.responses import Response

from app import __version__
from app.api.framework import Api
from app.api.lifecycle import Lifecycle
from app.api.openapi import json_response
from app.api.schemas import Checks, Health, ModelHealth, Status
from app.telemetry.prober import Prober


def routes(api: Api, lifecycle: Lifecycle, prober: Prober) -> None:
    alive = msgspec.json.encode(Status("alive"))
    status, whole = (json_response(api.schemas.refer(kind)) for kind in (Status, Health))

    @api.get("/live", tags=["health"], responses={200: status})
    async def live() -> Response:
        """200 as long as the event loop turns, also while draining."""
        return Response(alive, media_type="application/json")

    @api.get(
        "/ready",
        tags=["health"],
        responses={200: status, 503: status | {"description": "Starting, draining, overloaded or failing"}},
    )
    async def ready() -> Response:
        """200 if this process should get requests, else 503."""
        readiness = lifecycle.readiness
        return _json(Status(readiness), 200 if readiness == "ready" else 503)

    @api.get("/health", tags=["health"], responses={200: whole})
    async def health() -> Response:
        """From the last background probes; always 200, for people and dashboards, not for the kubelet."""
        models = {name: ModelHealth(**seen) for name, seen in prober.models().items()}
        return _json(
            Health(
                "ok" if prober.all_up else "degraded",
                __version__,
                round(time.monotonic() - lifecycle.started_at, 1),
                Checks("ok", prober.redis(), models, prober.redis_reason()),
            )
        )


def _json(body: Status | Health, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")

"""`/live`, `/ready` and `/health`: three questions, none of which costs I/O to answer."""

import time
from typing import Any

import msgspec
from fastapi import FastAPI
from starlette.responses import JSONResponse, Response

from app import __version__
from app.api.lifecycle import Lifecycle
from app.api.schemas import Health, Status
from app.telemetry.prober import Prober


def routes(app: FastAPI, lifecycle: Lifecycle, prober: Prober) -> None:
    alive = msgspec.json.encode(Status("alive"))

    @app.get("/live", tags=["health"], response_model=Status)
    async def live() -> Response:
        """200 as long as the event loop turns, also while draining."""
        return Response(alive, media_type="application/json")

    @app.get(
        "/ready",
        tags=["health"],
        response_model=Status,
        responses={503: {"model": Status, "description": "Starting, draining, overloaded or failing"}},
    )
    async def ready() -> Response:
        """Whether this process should get requests."""
        readiness = lifecycle.readiness
        return JSONResponse({"status": readiness}, 200 if readiness == "ready" else 503)

    @app.get("/health", tags=["health"], response_model=Health)
    async def health() -> Response:
        """From the last background probes; always 200, for people and dashboards, not for the kubelet."""
        checks: dict[str, Any] = {"api": "ok", "redis": prober.redis(), "models": prober.models()}
        if reason := prober.redis_reason():
            checks["redis_reason"] = reason
        return JSONResponse(
            {
                "status": "ok" if prober.all_up else "degraded",
                "version": __version__,
                "uptime_seconds": round(time.monotonic() - lifecycle.started_at, 1),
                "checks": checks,
            }
        )

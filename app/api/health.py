"""`/live`, `/ready` and `/health`: three questions, none of which costs I/O to answer."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from starlette.responses import Response

from app import __version__
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.lifecycle import Lifecycle
from app.api.openapi import json_response
from app.api.schemas import Checks, Health, McpHealth, ModelHealth, ModelRest, Status
from app.durable.durability import Durability
from app.telemetry.guard_errors import failing_guards
from app.telemetry.prober import Prober

if TYPE_CHECKING:
    from app.tools.mcp.servers import McpServers


class Breaker(Protocol):
    @property
    def state(self) -> Literal["closed", "half-open", "open"]: ...


class Resting(Protocol):
    def state(self) -> tuple[str, float] | None:
        """Why the model rests, and for how many seconds yet."""


class Gated(Protocol):
    """A model with what may keep calls from it."""

    @property
    def breaker(self) -> Breaker | None: ...

    @property
    def resting(self) -> Resting | None: ...


def routes(
    api: Api,
    lifecycle: Lifecycle,
    prober: Prober,
    gated: Mapping[str, Gated],
    durability: Durability,
    mcp: "McpServers | None" = None,
) -> None:
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
        return json_answer(Status(readiness), status=200 if readiness == "ready" else 503)

    @api.get("/health", tags=["health"], responses={200: whole})
    async def health() -> Response:
        """From the last background probes; always 200, for people and dashboards, not for the kubelet."""
        models = {ref: model_health(seen, gated.get(ref)) for ref, seen in prober.models().items()}
        failing = tuple(failing_guards())
        up = prober.all_up and all(map(_is_callable, models.values()))
        return json_answer(
            Health(
                "ok" if up and not failing else "degraded",
                __version__,
                round(time.monotonic() - lifecycle.started_at, 1),
                Checks(
                    "ok",
                    prober.redis(),
                    models,
                    durability.status,
                    prober.redis_reason(),
                    _mcp_health(mcp),
                ),
                "failing" if failing else "ok",
                failing,
            )
        )


def model_health(seen: Mapping[str, Any], model: Gated | None) -> ModelHealth:
    """How a model is: what its probe has `seen`, and what keeps calls from it."""
    breaker = model.breaker if model is not None else None
    resting = model.resting if model is not None else None
    rest = resting.state() if resting is not None else None
    return ModelHealth(
        **seen,
        breaker=None if breaker is None else breaker.state,
        resting=None if rest is None else ModelRest(rest[0], round(time.time() + rest[1], 1)),
    )


def _mcp_health(mcp: "McpServers | None") -> Mapping[str, McpHealth] | None:
    return None if mcp is None else {name: McpHealth(*how) for name, how in mcp.health().items()}


def _is_callable(model: ModelHealth) -> bool:
    return model.breaker != "open" and model.resting is None

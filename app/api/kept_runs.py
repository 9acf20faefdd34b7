"""Answers a request for a run that is kept: 202 for one in the background, or a stream that can be resumed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fastapi import Request
from msgspec import Struct
from starlette.responses import Response

from app.access.principal import Principal
from app.api.dialects.protocol import Asked, Dialect
from app.api.idempotency import REPLAYED, idempotency_key
from app.api.invalid import invalid
from app.api.json_answer import json_answer
from app.api.kept_streams import KeptStream, Left
from app.api.lifecycle import Lifecycle
from app.api.openapi import json_response
from app.api.prefix import prefix_of
from app.api.served_run import KeptRun, note_kept_run
from app.durable.event_codec import decode_event
from app.durable.keeping import BY_AGENT, Keeping
from app.durable.making import Begun
from app.durable.record import RunStatus
from app.durable.rendering import RunLinks, links_of, moment
from app.durable.run_events import RunEvents
from app.durable.runs import DurableRuns
from app.errors import AppError
from app.runs.events import RunFailed
from app.telemetry.logs import log

SCOPE = "runs"
_FIRST_EVENT_SECONDS = 10.0
"""How long the head of a stream waits for it: a run that fails before it starts has a status of its own."""


class AcceptedRun(Struct, frozen=True):
    """A run that goes on by itself."""

    run_id: str
    session_id: str
    agent: str
    status: RunStatus
    """`queued`, also in the answer to a request that was sent again."""
    created_at: datetime
    links: RunLinks


def accepted_response(refer: Callable[[type], str]) -> dict[str, Any]:
    """The documented response."""
    return json_response(refer(AcceptedRun)) | {"description": "The run is kept, and goes on by itself"}


class KeptRuns:
    """What answers such requests. Built once a process."""

    def __init__(self, runs: DurableRuns, lifecycle: Lifecycle) -> None:
        self._runs = runs
        self._lifecycle = lifecycle
        self._streams: set[KeptStream] = set()

    def end_withdrawn(self) -> None:
        """End every stream whose reader's credentials have been withdrawn since."""
        for stream in tuple(self._streams):
            stream.end_withdrawn()

    async def accept(self, request: Request, principal: Principal, asked: Asked, body: bytes) -> Response:
        """202 and where the run is. Raises every AppError that keeps it from being made."""
        principal.require(SCOPE)
        key = idempotency_key(request.scope["headers"], request.scope["path"], body)
        accepted = await self._runs.submit(principal, asked.run, asked.keeping or BY_AGENT, key)
        record = accepted.record
        run_id = record.work.run_id
        note_kept_run(request.scope, KeptRun(run_id, principal.user, record.agent))
        shown = AcceptedRun(
            run_id, record.work.session_id, record.agent, "queued", moment(record.created_at), links_of(run_id)
        )
        headers = {**accepted.headers, **_whereabouts(request, run_id, replayed=accepted.replayed)}
        return json_answer(shown, headers, 202)

    def keeps(self, principal: Principal, asked: Asked) -> bool:
        """Whether the stream that is asked for can be resumed. Raises Forbidden, and InvalidRequest for fields that
        only such a stream has."""
        keeping = asked.keeping or BY_AGENT
        if keeping.resumable is not None:
            if keeping.resumable:
                principal.require(SCOPE)
            return keeping.resumable
        if self._runs.agent_keeps(asked.run.agent) and SCOPE in principal.scopes:
            return True
        if asked.keeping is not None:
            given = {"on_busy": keeping.on_busy != "reject", "on_disconnect": keeping.on_disconnect is not None}
            raise invalid([{"loc": (field,), "msg": "Needs resumable"} for field, has in given.items() if has])
        return False

    async def stream(
        self, request: Request, principal: Principal, asked: Asked, body: bytes, dialect: Dialect
    ) -> Response:
        """The run's events. Raises every AppError that keeps it from starting."""
        keeping = asked.keeping or BY_AGENT
        key = idempotency_key(request.scope["headers"], request.scope["path"], body)
        begun = await self._runs.begin(principal, asked.run, keeping, key)
        note_kept_run(request.scope, KeptRun(begun.run_id, principal.user, begun.agent.name))
        await _check_start(begun)
        return KeptStream(
            begun.events,
            dialect,
            self._lifecycle,
            self._streams,
            credential=principal.credential,
            headers={**begun.headers, **_whereabouts(request, begun.run_id, replayed=begun.replayed)},
            left=self._left(principal, begun, keeping),
            here=begun.here,
        )

    def follow(self, principal: Principal, events: RunEvents, dialect: Dialect, headers: Mapping[str, str]) -> Response:
        """The events of a run, whoever works on it."""
        credential = principal.credential
        return KeptStream(events, dialect, self._lifecycle, self._streams, credential=credential, headers=headers)

    def _left(self, principal: Principal, begun: Begun, keeping: Keeping) -> Left | None:
        """What is done when the client leaves: nothing where another request made the run."""
        if begun.replayed:
            return None
        on_disconnect = keeping.on_disconnect or begun.agent.on_disconnect

        async def left() -> None:
            if on_disconnect == "cancel":
                try:
                    await self._runs.cancel(principal, begun.run_id)
                except AppError as error:  # over meanwhile, or the store is away: it goes on to its end
                    log.info("run.not_cancelled", run_id=begun.run_id, reason=error.slug)

        return left


async def _check_start(begun: Begun) -> None:
    """Raises the error of a run that has failed before it started."""
    try:
        first = await begun.events.first(_FIRST_EVENT_SECONDS)
        if first and isinstance(event := decode_event(first[0][1]), RunFailed):
            raise event.error
    except BaseException:
        await begun.events.aclose()
        raise


def _whereabouts(request: Request, run_id: str, *, replayed: bool) -> Mapping[str, str]:
    """Headers that tell where the run is."""
    location = {"Location": f"{prefix_of(request.scope)}/runs/{run_id}"}
    return {**location, REPLAYED: "true"} if replayed else location

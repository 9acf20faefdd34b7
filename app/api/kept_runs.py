"""Answers a request for a run that is kept: 202 for one in the background, or a stream that can be resumed; or, where a
person may have to approve a tool call, as any request for a run, and 202 when it has to wait for that."""

from collections.abc import Mapping

from fastapi import Request
from msgspec.structs import replace
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.access.principal import Principal
from app.api.accepted import accepted, whereabouts
from app.api.cancel_on_disconnect import cancel_on_disconnect
from app.api.dialects.protocol import Asked, Dialect
from app.api.idempotency import REPLAYED, idempotency_key
from app.api.invalid import invalid
from app.api.kept_answers import answer_or_pause
from app.api.kept_starts import check_start, with_limits
from app.api.kept_streams import KeptStream, Left
from app.api.lifecycle import Lifecycle
from app.api.served_run import KeptRun, note_kept_run
from app.durable.keeping import BY_AGENT, NO_KEY, PLAIN, IdempotencyKey, Keeping
from app.durable.making import Begun
from app.durable.run_events import RunEvents
from app.durable.runs import DurableRuns
from app.errors import AppError, ShuttingDown
from app.runs.events import Answer
from app.telemetry.logs import log

SCOPE = "runs"


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
        made = await self._runs.submit(principal, asked.run, asked.keeping or BY_AGENT, key)
        record = made.record
        note_kept_run(request.scope, KeptRun(record.work.run_id, principal.user, record.agent))
        return accepted(request, record, made.headers, replayed=made.replayed)

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
        begun, _ = await self._begin(request, principal, asked, body, keeping)
        standing = await check_start(begun)
        return KeptStream(
            begun.events,
            dialect,
            self._lifecycle,
            self._streams,
            credential=principal.credential,
            headers={**standing, **whereabouts(request, begun.run_id, replayed=begun.replayed)},
            left=self._left(principal, begun, keeping),
            here=begun.here,
            answers=True,
        )

    def may_pause(self, principal: Principal, asked: Asked) -> bool:
        """Whether the run is kept although nothing says so, since a person may have to approve a tool call of it.
        Raises what keeps it from being made."""
        return self._runs.may_pause(principal, asked.run)

    async def answer_or_pause(
        self, request: Request, principal: Principal, asked: Asked, body: bytes, dialect: Dialect
    ) -> Response:
        """The answer or the stream of a plain request, as far as the run comes without a person. Raises the run's
        error, and ClientDisconnect."""
        if asked.run.stream:
            return await self.stream(request, principal, replace(asked, keeping=PLAIN), body, dialect)
        begun, key = await self._begin(request, principal, asked, body, PLAIN)
        waiting = answer_or_pause(self._runs, principal, begun)
        try:
            awaited = await cancel_on_disconnect(waiting, request, self._lifecycle)
        except (ClientDisconnect, ShuttingDown):
            if key is NO_KEY and (left := self._left(principal, begun, PLAIN)) is not None:
                await left()  # with a key, the same request again gets the answer
            raise
        headers = with_limits(begun.headers, awaited.headers)
        if isinstance(awaited.outcome, Answer):
            shown = {**headers, REPLAYED: "true"} if begun.replayed else headers
            return Response(dialect.whole(awaited.outcome), headers=shown, media_type="application/json")
        waits = awaited.outcome
        return accepted(
            request, waits.record, headers, replayed=begun.replayed, status="waiting", approvals=waits.approvals
        )

    async def _begin(
        self, request: Request, principal: Principal, asked: Asked, body: bytes, keeping: Keeping
    ) -> tuple[Begun, IdempotencyKey]:
        key = idempotency_key(request.scope["headers"], request.scope["path"], body)
        begun = await self._runs.begin(principal, asked.run, keeping, key)
        note_kept_run(request.scope, KeptRun(begun.run_id, principal.user, begun.agent.name))
        return begun, key

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

"""Answers a request for a run in its dialect: whole, or as a stream of events."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from fastapi import Request
from msgspec.structs import replace
from starlette.responses import Response

from app.api.body import receive_body
from app.api.caller import principal_of
from app.api.dialects.protocol import Dialect
from app.api.failures import CLIENT_CLOSED_REQUEST, documented
from app.api.idempotency import DOCUMENTED as IDEMPOTENCY_KEY
from app.api.kept_runs import KeptRuns
from app.api.served_run import note_run
from app.api.streams import ClientGone, EventStream, encoded, whole_answer
from app.runs.events import RunFailed
from app.runs.handle import RunHandle
from app.runs.runner import Runner

RUN_PROBLEMS = documented(404, 409, 413, 415, 422, 429, 500, 503, 504)
RUN_HEADERS: Sequence[Mapping[str, Any]] = (
    {
        "name": "Cache-Control",
        "in": "header",
        "required": False,
        "description": "Where answers are cached: `no-cache` asks a model all the same, `no-store` also keeps nothing.",
        "schema": {"type": "string", "examples": ["no-cache", "no-store"]},
    },
    IDEMPOTENCY_KEY,
)
"""That a request for a run may have, for the OpenAPI document."""


async def answer(request: Request, runner: Runner, kept: KeptRuns, dialect: Dialect) -> Response:
    """The answer of the run that the request asks for. Raises every AppError that keeps a run from starting."""
    body = await receive_body(request.receive)
    asked = dialect.request(body)
    principal = principal_of(request, asked.user_id)
    if control := cache_control(request.scope["headers"]):
        asked = replace(asked, run=replace(asked.run, cache_control=control))
    if asked.keeping is not None and asked.keeping.background:
        return await kept.accept(request, principal, asked, body)
    principal.require("chat")
    if asked.run.stream and kept.keeps(principal, asked):
        return await kept.stream(request, principal, asked, body, dialect)
    if kept.may_pause(principal, asked):
        return await kept.answer_or_pause(request, principal, asked, body, dialect)
    run = runner.start(principal, asked.run)
    note_run(request.scope, run)
    if asked.run.stream:
        return await _stream(run, dialect)
    try:
        finished, headers = await whole_answer(run, request)
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return _Whole(dialect.whole(finished), headers)


def cache_control(headers: Iterable[tuple[bytes, bytes]]) -> Literal["", "no-cache", "no-store"]:
    """The stricter of the directives of `Cache-Control` that a run knows (RFC 9111, section 5.2.1)."""
    given = [value for name, value in headers if name == b"cache-control"]
    if not given:
        return ""
    directives = {directive.strip().lower() for value in given for directive in value.split(b",")}
    return "no-store" if b"no-store" in directives else "no-cache" if b"no-cache" in directives else ""


class _Whole(Response):
    """A whole answer, whose headers need no looking through."""

    def __init__(self, body: bytes, headers: Mapping[str, str]) -> None:
        self.status_code, self.background, self.body = 200, None, body
        self.raw_headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self.raw_headers += encoded(headers)


async def _stream(run: RunHandle, dialect: Dialect) -> Response:
    """The run's events. A run that fails before it starts raises its error, which then has a status of its own."""
    await run.wait()
    events = run.take()
    if events and isinstance(events[0], RunFailed):
        raise events[0].error
    return EventStream(run, events, dialect)

"""`/approvals`: tool calls that wait for a person, and their decisions. Another team's approval is not there: 404."""

import re
from collections.abc import Iterable
from json import loads
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request
from msgspec import Struct
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.api.body import Body, receive_body
from app.api.caller import caller_with
from app.api.failures import documented
from app.api.framework import Api
from app.api.invalid import invalid
from app.api.json_answer import json_answer
from app.api.openapi import json_response
from app.api.requests import STRICT, Id
from app.durable.approvals.approvals import Approvals
from app.durable.approvals.record import ApprovalStatus
from app.durable.approvals.rendering import PATH, ApprovalShown, shown
from app.limits.limiter import RUNS, Limiter
from app.redaction.redactor import Redactor, cleaned

SCOPE = "approvals"
MAX_REASON_CHARS = 1000

ApprovalId = Annotated[Id, Path()]
OfStatus = Annotated[ApprovalStatus | None, Query(description="Only approvals of this status")]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of approvals")]
Cursor = Annotated[str | None, Query(min_length=1, max_length=256, description="`next` of the page before")]


class DecisionRequest(BaseModel):
    """Exactly this, and nothing else: what is not clearly a decision is none."""

    model_config = STRICT

    decision: Literal["approve", "deny"]
    reason: str = Field(
        "", max_length=MAX_REASON_CHARS, description="Why, for the record; of a call that is denied the model is told"
    )


class ApprovalsPage(Struct, frozen=True):
    approvals: tuple[ApprovalShown, ...]
    """Newest first."""
    next: str | None
    """The `cursor` of the next page; null after the last page."""


def routes(api: Api, approvals: Approvals, limiter: Limiter, redactor: Redactor | None = None) -> None:
    """`redactor` takes secrets out of reasons before they are kept, and shown to the model."""
    listing, whole = (json_response(api.schemas.refer(kind)) for kind in (ApprovalsPage, ApprovalShown))
    read_body = Body(DecisionRequest).read

    @api.get(PATH, tags=["approvals"], responses={200: listing, **documented(422, 429, 500, 503)})
    async def list_approvals(
        request: Request, status: OfStatus = None, limit: Limit = 20, cursor: Cursor = None
    ) -> Response:
        """The tool calls that wait for a decision or had one, newest first: those of the caller's team, of everyone
        where they have none."""
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            page = await approvals.list(principal, status=status, cursor=cursor or "", limit=limit)
        return json_answer(ApprovalsPage(tuple(map(shown, page.approvals)), page.next or None), headers)

    @api.get(
        f"{PATH}/{{approval_id}}",
        tags=["approvals"],
        responses={200: whole, **documented(404, 422, 429, 500, 503)},
    )
    async def get_approval(request: Request, approval_id: ApprovalId) -> Response:
        """The call, and what was decided."""
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            approval = await approvals.read(principal, approval_id)
        return json_answer(shown(approval), headers)

    @api.fast_post(
        f"{PATH}/{{approval_id}}",
        body=DecisionRequest,
        tags=["approvals"],
        responses={200: whole, **documented(403, 404, 409, 413, 415, 422, 429, 500, 503)},
    )
    async def decide(request: Request, approval_id: str) -> Response:
        """Approve the call, or deny it. The first decision counts, and is for exactly the call that is shown: the run
        goes on when all of its calls have one. Whoever asked for the run may decide only where its agent says so."""
        principal = caller_with(request, SCOPE)
        body = await receive_body(request.receive)
        _check_id(approval_id)
        asked = read_body(body)
        _check_repeated(body)
        if "\0" in asked.reason:
            raise invalid([{"loc": ("reason",), "msg": "holds a NUL character"}])
        async with limiter.slot(principal, RUNS) as headers:
            approval = await approvals.decide(principal, approval_id, asked.decision, cleaned(redactor, asked.reason))
        return json_answer(shown(approval), headers)


_IS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch


def _check_id(approval_id: str) -> None:
    """Raises InvalidRequest, as FastAPI's own routes do."""
    if _IS_ID(approval_id) is None:
        raise invalid([{"loc": ("approval_id",), "msg": "String should match pattern '^[A-Za-z0-9_-]{1,64}$'"}])


def _check_repeated(body: bytes) -> None:
    """Of a body that is valid otherwise. Raises InvalidRequest for a field that is given twice: readers of JSON differ
    in which of them counts."""

    def once(fields: Iterable[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in fields:
            if name in seen:
                raise invalid([{"loc": (name,), "msg": "Is given more than once"}])
            seen.add(name)

    loads(body, object_pairs_hook=once)

"""Requests of administrators: on record before they are answered."""

from fastapi import Request

from app.access.on_record import entry_of
from app.access.principal import Principal
from app.api.caller import caller_with
from app.audit.audit import Audit


async def administrator(request: Request, audit: Audit, route: str) -> Principal:
    """The caller, once what they ask is on record. Raises Forbidden for callers without the scope `admin`, and
    StateUnavailable where nothing can be put on record."""
    principal = caller_with(request, "admin")
    await audit.write(entry_of(principal, "admin", "allowed", on=route))
    return principal

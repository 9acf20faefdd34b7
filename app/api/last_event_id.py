"""The header Last-Event-ID: where a stream goes on that was cut."""

import re

from starlette.types import Scope

from app.api.invalid import invalid

LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The last event that the client has, as browsers send it by themselves",
    "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
}
"""As the OpenAPI document has it."""

_NUMBER = re.compile(rb"[0-9]{1,15}").fullmatch


def last_event_id(scope: Scope, otherwise: int) -> int:
    """The header counts, since a browser that connects again sends the same address. Raises InvalidRequest."""
    given = [value for name, value in scope["headers"] if name == b"last-event-id"]
    if not given:
        return otherwise
    if len(given) > 1 or not _NUMBER(given[0]):
        raise invalid([{"loc": (LAST_EVENT_ID["name"],), "msg": "Should be the id of an event, a whole number"}])
    return int(given[0])

"""What the service tells the process of a tool, and what comes back: one message each way."""

from typing import Any

from msgspec import Struct

from app.access.principal import Principal
from app.tools.context import HandOver
from app.tools.result import ToolStatus

LENGTH_BYTES = 8
"""Before each message: its length, big-endian."""


class CallSent(Struct, frozen=True):
    """A call, with the plain facts of its context: who asks, never with what they proved it."""

    tool: str
    arguments: dict[str, Any]
    user: str
    team: str | None
    tier: str
    scopes: list[str]
    address: str
    authenticated: bool
    run_id: str
    call_id: str
    iteration: int
    seconds: float
    """Until the deadline."""

    def caller(self) -> Principal:
        return Principal(
            self.user,
            self.team,
            self.tier,
            frozenset(self.scopes),
            address=self.address,
            authenticated=self.authenticated,
        )


class ResultSent(Struct, frozen=True):
    status: ToolStatus
    content: str
    result: Any
    fault: str | None
    sources: list[str]
    handed_over: HandOver | None

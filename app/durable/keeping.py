"""What a request says of how its run is kept."""

from msgspec import Struct

from app.agents.definition import OnDisconnect
from app.durable.record import OnBusy, Webhook


class Keeping(Struct, frozen=True):
    """In the background, or with a stream that can be resumed."""

    background: bool = False
    resumable: bool | None = None
    """Of a stream; None: as its agent has it."""
    on_disconnect: OnDisconnect | None = None
    """Likewise."""
    on_busy: OnBusy = "reject"
    start_at: float = 0.0
    """Seconds since the epoch; 0: now."""
    webhook: Webhook | None = None
    plain: bool = False
    """As a plain run: it waits neither for another run of its session nor for a place among the runs at once, and its
    deadline is its agent's."""


BY_AGENT = Keeping()
"""Of a stream whose request says nothing."""

PLAIN = Keeping(plain=True, on_disconnect="cancel")
"""Of a request whose run is kept only since a person may have to approve a tool call."""


class IdempotencyKey(Struct, frozen=True):
    """What makes a request that is sent again the same one."""

    key: str
    """Its SHA-256: what a client sends there is its own."""
    fingerprint: str
    """Of the route and the body that came with it."""


NO_KEY = IdempotencyKey("", "")
"""Of a request that has none: one that is sent again makes another run."""

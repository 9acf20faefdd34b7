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


BY_AGENT = Keeping()
"""Of a stream whose request says nothing."""


class IdempotencyKey(Struct, frozen=True):
    """What makes a request that is sent again the same one."""

    key: str
    fingerprint: str
    """Of the route and the body that came with it."""


NO_KEY = IdempotencyKey("", "")
"""Of a request that has none: one that is sent again makes another run."""

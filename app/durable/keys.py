"""Keys of runs in the store. All begin with the hash tag of limits, for one script writes a run and settles it."""

from app.limits.checks import TAG

DUE = f"{TAG}runs:due"
"""Sorted: ids of runs that are not over, by the time (ms) from which on the reconciler looks at them."""
OUTBOX = f"{TAG}outbox"
"""Sorted: ids of runs with a delivery that is not done, by the time (ms) of its next attempt."""


def run_key(run_id: str) -> str:
    """A hash: the record."""
    return f"{TAG}run:{run_id}"


def steps_key(run_id: str) -> str:
    """A list: the steps, as JSON."""
    return f"{TAG}run:{run_id}:steps"


def events_key(run_id: str) -> str:
    """A stream: the events that were written together are one entry, whose id is the number of the last, and `-0`."""
    return f"{TAG}run:{run_id}:events"


def channel(run_id: str) -> str:
    """Pub/sub: a run's followers are told of its events here."""
    return f"{TAG}run:{run_id}:news"


CANCELS = f"{TAG}runs:cancels"
"""Pub/sub: workers are told here of runs that are to be cancelled."""


def owner_key(owner: str) -> str:
    """Sorted: an owner's runs by the time of their creation."""
    return f"{TAG}runs:{owner}"


def session_key(owner: str, session: str) -> str:
    """Sorted: runs of a session that are not over, in the order in which they have their turn."""
    return f"{TAG}runs:{owner}:session:{session}"


def idempotency_key(owner: str, key: str) -> str:
    """A hash: the run that a request with this Idempotency-Key made, and the body's fingerprint."""
    return f"{TAG}runs:{owner}:key:{key}"


def delivery_key(run_id: str) -> str:
    """A hash: `message` (JSON: url, secret's name, body), `state` (pending, delivered, given_up), `attempts`, …"""
    return f"{TAG}delivery:{run_id}"

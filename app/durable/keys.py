"""Keys of runs in the store. All begin with the hash tag of limits, for one script writes a run and settles it. The
scripts make the same keys of the same parts: see scripts/run.lua."""

from app.limits.checks import TAG

DUE = f"{TAG}runs:due"
"""Sorted: ids of runs that nobody has, by the time (ms) from which on the reconciler looks at them."""
DUE_LATER = f"{TAG}runs:due-later"
"""The same, of low priority: however many batches wait, a run that somebody waits for is found first."""
LEASES = f"{TAG}runs:leases"
"""Sorted: ids of runs that a worker has, by the time (ms) at which its lease ends."""
OUTBOX = f"{TAG}outbox"
"""Sorted: ids of runs with a delivery that is not done, by the time (ms) of its next attempt."""
CANCELS = f"{TAG}runs:cancels"
"""Pub/sub: workers are told here of runs that are to be cancelled."""


def run_key(run_id: str) -> str:
    """A hash: the record."""
    return f"{TAG}run:{run_id}"


def steps_key(run_id: str) -> str:
    """A list: the steps, as JSON."""
    return f"{TAG}run:{run_id}:steps"


def events_key(run_id: str) -> str:
    """A stream: the events that were written together are one entry, a line each, whose id is the number of the last,
    and `-0`."""
    return f"{TAG}run:{run_id}:events"


def approvals_key(run_id: str) -> str:
    """A set: ids of the approvals that were asked for of a run."""
    return f"{run_key(run_id)}:approvals"


def approval_key(approval_id: str) -> str:
    """A hash: see scripts/approvals.lua."""
    return f"{TAG}approval:{approval_id}"


APPROVALS = f"{TAG}approvals"
"""Sorted: ids of approvals by the time (µs) at which they were asked for; a team's own are in `APPROVALS|TEAM` too."""
PENDING = f"{TAG}approvals:pending"
"""The same, of those that wait for a decision."""


def channel(run_id: str) -> str:
    """Pub/sub: a run's followers are told its events here: the number of the first, then a line each."""
    return f"{TAG}run:{run_id}:news"


def owner_key(owner: str) -> str:
    """Sorted: an owner's runs by the time (µs) of their creation. No owner's name holds a `|`."""
    return f"{TAG}runs-of:{owner}"


def over_key(owner: str) -> str:
    """Sorted: those of them that are over, by the time (ms) of their end."""
    return f"{owner_key(owner)}|over"


def session_key(owner: str, session: str) -> str:
    """Sorted: runs of a session that are not over, by the time (µs) of their turn; 0: begun."""
    return f"{owner_key(owner)}|session:{session}"


def idempotency_key(owner: str, key: str) -> str:
    """A hash: the run that a request with this Idempotency-Key made, and the body's fingerprint."""
    return f"{owner_key(owner)}|key:{key}"


def delivery_key(run_id: str) -> str:
    """A hash: `message` (JSON: url, secret's name, body), `state` (pending, delivered, given_up), `attempts`, …"""
    return f"{TAG}delivery:{run_id}"

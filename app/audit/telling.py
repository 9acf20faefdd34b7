"""What the log and callers are told of entries."""

from msgspec.structs import asdict, replace

from app.audit.entry import Entry
from app.errors import StateUnavailable
from app.telemetry.context import current
from app.telemetry.logs import log
from app.telemetry.metrics import AUDIT_ENTRIES
from app.telemetry.scrubbing import without_credentials

_RETRY_AFTER_SECONDS = 5


def told(entry: Entry) -> Entry:
    """The entry with its request, after the log has it: a line at every LOG_LEVEL."""
    request_id = entry.request_id or current.get().request_id
    if request_id:
        entry = replace(entry, request_id=without_credentials(request_id))
    AUDIT_ENTRIES.labels(entry.action, entry.decision).inc()
    log.always("audit", {name: value for name, value in asdict(entry).items() if name != "request_id" and value})
    return entry


def not_on_record(error: BaseException) -> StateUnavailable:
    """For whoever waited for an entry that the store has not taken, for this reason."""
    made = StateUnavailable(
        "This cannot be put on record at the moment, and is not done without. Try again.",
        retry_after=_RETRY_AFTER_SECONDS,
    )
    made.__cause__ = error.__cause__ or error
    return made

"""What a run leaves behind when it is over: its outcome, the webhook that tells it, and nothing that was asked."""

from msgspec.structs import replace

from app.durable.record import Ending, Record
from app.durable.replies import encode_work
from app.durable.webhooks.message import delivery
from app.runs.request import RunRequest


def ended(record: Record, ending: Ending, last_event: int) -> Ending:
    """The ending with all that is written with it. `record` is what is known of the run before its end, `last_event`
    the number of its last event."""
    work = replace(record.work, request=without_words(record.work.request))
    return replace(ending, delivery=delivery(record, ending, last_event), work=encode_work(work))


def without_words(request: RunRequest) -> RunRequest:
    """The request without what its caller has written: as it was sent, that is needed only until the run is over."""
    return replace(request, message="", history=None, system=None, response_format=None)

"""What a run leaves behind when it is over: its outcome, the webhook that tells it, and nothing that was asked."""

from msgspec.structs import replace

from app.durable.record import Ending, Record, Work
from app.durable.replies import encode_work
from app.durable.webhooks.message import delivery


def ended(record: Record, ending: Ending, last_event: int) -> Ending:
    """The ending with all that is written with it. `record` is what is known of the run before its end, `last_event`
    the number of its last event."""
    return replace(ending, delivery=delivery(record, ending, last_event), work=encode_work(without_words(record.work)))


def without_words(work: Work) -> Work:
    """The work without what its caller has written: as it was sent, that is needed only as long as the run goes on."""
    return replace(work, request=replace(work.request, message="", history=None, system=None, response_format=None))

"""A claimed run as its journal and the pipeline need it: what earlier workers have left of it."""

import time
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from app.durable.approvals.deciding import decisions
from app.durable.event_codec import decode_event
from app.durable.record import Claimed, Numbered
from app.durable.records import Records
from app.errors import EventsGone
from app.runs.events import Reasoning, Token
from app.runs.journal import Carried, Earlier
from app.runs.steps import Step

_decode_step = msgspec.json.Decoder(Step).decode
_decode_carried = msgspec.json.Decoder(Carried).decode


def seconds_since_begin(claimed: Claimed) -> float:
    """Since the first worker began, without the time in which the run waited for decisions."""
    record = claimed.record
    return max(0.0, time.time() - record.started_at - record.waited_seconds) if record.started_at else 0.0


async def earlier_of(claimed: Claimed, records: Records) -> Earlier | None:
    """None: nothing was written of the run, and it begins here. Raises StateUnavailable."""
    if not claimed.steps:
        return None
    record = claimed.record
    carried = _decode_carried(record.carried) if record.carried else Carried()
    discard_from = carried.cut_from or record.kept_event + 1
    lost = ""
    if record.last_event >= discard_from and not carried.handed_back:  # whoever hands a run back has paid
        with suppress(EventsGone):  # more than are kept
            lost = _text_of(await records.events(record.owner, claimed.claim.run_id, discard_from - 1, limit=10_000))
    steps = tuple([_decode_step(step) for step in claimed.steps])
    given, lapsed = await decisions(records, steps)
    return Earlier(steps, carried, discard_from, seconds_since_begin(claimed), lost, given, lapsed)


def _text_of(events: Sequence[Numbered]) -> str:
    decoded = [decode_event(event) for _, event in events]
    return "".join([event.text for event in decoded if isinstance(event, Token | Reasoning)])

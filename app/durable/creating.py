"""A new run as create.lua takes it."""

from app.durable import keys
from app.durable.record import NewRun
from app.durable.replies import MILLIS, encode_work
from app.limits.calls import Call
from app.state.store import Argument

_NOTHING: Call = ((), ())


def call_of(new: NewRun) -> Call:
    """With what its limits are asked, where there is anything to ask."""
    work = new.work
    (counted_keys, counted), (admitted_keys, admitted) = new.counting or _NOTHING, new.admitting or _NOTHING
    arguments: tuple[Argument, ...] = (
        work.run_id,
        new.owner,
        new.agent,
        work.session_id,
        new.session,
        new.on_busy,
        round(new.start_at * MILLIS),
        new.priority,
        new.idempotency_key,
        new.fingerprint,
        "1" if new.here else "",
        "1" if work.batch else "",
        encode_work(work),
        len(counted_keys),
        len(counted),
        *counted,
        *admitted,
    )
    return (keys.run_key(work.run_id), *counted_keys, *admitted_keys), arguments

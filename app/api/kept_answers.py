"""The whole answer of a run that is kept, while its client waits: when it ends, or when it has to wait for a person."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing

from msgspec import Struct

from app.access.principal import Principal
from app.durable.approvals.rendering import PendingApproval, pending
from app.durable.event_codec import asks_for_approval, decode_event, ends, pauses
from app.durable.making import Begun
from app.durable.record import Record
from app.durable.runs import DurableRuns
from app.errors import StateUnavailable
from app.runs.events import Answer, ApprovalRequired, RunFailed, RunFinished, RunPaused, RunStarted


class Paused(Struct, frozen=True):
    """The run waits for decisions on these calls."""

    record: Record
    approvals: Sequence[PendingApproval]


class Awaited(Struct, frozen=True):
    """What the client waited for, and where they stand with their limits since the run began."""

    outcome: Answer | Paused
    headers: Mapping[str, str] = {}


async def answer_or_pause(runs: DurableRuns, principal: Principal, begun: Begun) -> Awaited:
    """Raises the run's error."""
    headers: Mapping[str, str] = {}
    asked: dict[str, PendingApproval] = {}
    async with aclosing(begun.events) as events:
        async for batch in events:
            if batch[0][0] == 1 and not begun.replayed and isinstance(event := decode_event(batch[0][1]), RunStarted):
                headers = event.headers
            for _, line in batch:
                if asks_for_approval(line) and isinstance(event := decode_event(line), ApprovalRequired):
                    asked[event.approval_id] = pending(event)
            last = batch[-1][1]
            if ends(last):
                return Awaited(_answer(last), headers)
            if pauses(last) and (paused := await _paused(runs, principal, begun.run_id, last, asked)) is not None:
                return Awaited(paused, headers)
    raise StateUnavailable("The events of the run ended before the run did. Send the request again.")


def _answer(line: bytes) -> Answer:
    match decode_event(line):
        case RunFinished(answer):
            return answer
        case RunFailed(error):
            raise error
        case event:
            raise TypeError(f"{event.name} is no last event")


async def _paused(
    runs: DurableRuns, principal: Principal, run_id: str, line: bytes, asked: Mapping[str, PendingApproval]
) -> Paused | None:
    """None: it goes on already."""
    record = await runs.read(principal, run_id)
    event = decode_event(line)
    if record.status != "waiting" or not isinstance(event, RunPaused):
        return None
    return Paused(record, [asked[approval] for approval in event.approvals if approval in asked])

"""A change of a batch as write.lua takes it, and its reply: the one place where these are written and read."""

import msgspec
from msgspec import Struct

from app.batches.record import Change, Resulted, encode
from app.limits.wire import Settlement, read_settlement
from app.state.store import Argument


class Written(Struct, frozen=True):
    cancelling: bool = False
    new: tuple[int, ...] = ()
    """Places of the results that were not there before."""
    settlement: Settlement = Settlement()


class _Reply(Struct):
    taken: bool = False
    cancelling: bool = False
    new: tuple[int, ...] = ()
    settlement: str = "{}"


_reply = msgspec.json.Decoder(_Reply).decode


def words_of(change: Change) -> list[Argument]:
    portions: list[Argument] = [word for portion in change.portions for word in (portion.number, encode(portion))]
    for number in change.dropped:
        portions += (number, "", f"{number}:held", "")
    words: list[Argument] = [len(change.fields), *(word for pair in change.fields.items() for word in pair)]
    words += (len(portions) // 2, *portions, len(change.results))
    for resulted in change.results:
        words += (resulted.place, resulted.outcome, encode(resulted.result) + b"\n", _used(resulted))
    settled = () if change.settlement is None else change.settlement[1]
    words += (len(settled), *settled)
    return words


def read_written(reply: bytes) -> Written | None:
    """None: the claim does not hold any more."""
    read = _reply(reply)
    return None if read.taken else Written(read.cancelling, read.new, read_settlement(read.settlement))


def _used(resulted: Resulted) -> str:
    """As write.lua takes it."""
    usage = resulted.result.usage
    if usage is None or not resulted.model:
        return ""
    return " ".join(map(str, (resulted.model, *msgspec.structs.astuple(usage), resulted.nanos)))

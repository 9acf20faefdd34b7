"""A batch's record as the store has it: what is written when it is made, and what is read."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.batches.record import OUTCOMES, Batch, NewBatch, Rest, encode
from app.durable.record import Caller
from app.durable.replies import fields_of
from app.messages import Usage
from app.runs.request import RunRequest

_caller = msgspec.json.Decoder(Caller).decode
_options = msgspec.json.Decoder(RunRequest).decode
_open = msgspec.json.Decoder(dict[int, bool]).decode


def words_of_new(new: NewBatch) -> dict[str, str | bytes | int | float]:
    return {
        "owner": new.owner,
        "caller": encode(new.caller),
        "options": encode(new.options),
        "way": new.way,
        "status": "queued",
        "request_id": new.request_id,
        "traceparent": new.traceparent,
        "inputs": new.inputs,
        "start_at": new.start_at,
    }


def batch_of(batch_id: str, reply: Sequence[bytes]) -> Batch:
    """From HGETALL."""
    fields: dict[str, Any] = {name.decode(): value for name, value in fields_of(reply).items()}

    def number(name: str) -> int:
        return int(fields.get(name, 0))

    def seconds(name: str) -> float:
        return float(fields.get(name, 0.0))

    rest = fields.get("rest_outcome")
    return Batch(
        batch_id,
        fields["owner"].decode(),
        _caller(fields["caller"]),
        _options(fields["options"]),
        fields["way"].decode(),
        fields["status"].decode(),
        fields["request_id"].decode(),
        fields["traceparent"].decode(),
        number("inputs"),
        seconds("created_at"),
        seconds("start_at"),
        seconds("started_at"),
        seconds("ended_at"),
        number("next"),
        number("claims"),
        number("tries"),
        number("failures"),
        None if rest is None else Rest(rest.decode(), fields["rest_error"]),
        {outcome: number(outcome) for outcome in OUTCOMES},
        Usage(number("input"), number("output"), number("cache_read"), number("cache_write")),
        number("nanos"),
        _open(fields.get("open", b"{}")),
    )

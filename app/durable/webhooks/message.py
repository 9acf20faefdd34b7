"""What the outbox holds of a delivery: whom to tell, by which secret, and what."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.durable.moments import moment
from app.durable.record import Ending, Record
from app.durable.rendering import as_json, run_of
from app.settings import Settings
from app.settings.kinds import DAY
from app.urls import host_of


class Message(Struct, frozen=True):
    """A webhook that is to be sent."""

    host: str
    """Of the URL. The first field, and the owner the second: where groups.lua finds them."""
    owner: str
    url: str
    secret: str
    """The secret's name."""
    run: Mapping[str, Any]
    """The run as callers see it; `ended_at` is filled in by the time that the store wrote its end."""


class _Event(Struct, frozen=True):
    """The body, as Standard Webhooks has it."""

    type: str
    timestamp: Any
    data: Mapping[str, Any]


_MIN_KEPT_SECONDS = 3 * DAY  # longer than a delivery is tried

_encode = msgspec.json.Encoder().encode
read_message = msgspec.json.Decoder(Message).decode


def kept_seconds(settings: Settings) -> int:
    """How long a delivery is kept after the last that happened to it."""
    return max(settings.run_ttl_seconds, _MIN_KEPT_SECONDS)


def delivery(record: Record, ending: Ending, last_event: int | None = None) -> bytes:
    """The outbox's entry of a run that ends so; empty where nobody is to be told.

    `record` is what is known of the run before its end, `last_event` the number of its last event; None: it is the
    only one that the record does not know.
    """
    webhook = record.work.webhook
    if webhook is None:
        return b""
    last = record.last_event + 1 if last_event is None else last_event
    ended = replace(
        record, status=ending.status, last_event=last, ended_at=0.0, answer=ending.answer, error=ending.error
    )
    return _encode(Message(host_of(webhook.url), record.owner, webhook.url, webhook.secret, as_json(run_of(ended))))


def delivery_of(ended: Record) -> bytes:
    """The outbox's entry of a run that is over, made anew."""
    return delivery(ended, Ending(ended.status, ended.answer, ended.error), ended.last_event)


def body_of(message: Message, ended_at: float) -> bytes:
    """The JSON that is sent, the same at each attempt."""
    ended = moment(ended_at)
    kind = "run.finished" if message.run["status"] == "succeeded" else "run.failed"
    return _encode(_Event(kind, ended, {**message.run, "ended_at": ended}))

"""Fields of requests for runs that are kept: in the background, or with a stream that can be resumed."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from app.agents.definition import OnDisconnect
from app.api.invalid import invalid
from app.api.requests import STRICT
from app.durable.keeping import Keeping
from app.durable.record import OnBusy, Webhook

MAX_AHEAD_DAYS = 366
_RFC_3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$"
_IS_RFC_3339 = re.compile(_RFC_3339.replace("$", r"\Z")).match


def seconds_of(time: str) -> float:
    """A time as RFC 3339 writes it in seconds since the epoch. Raises ValueError for a day or an hour there is not."""
    return datetime.fromisoformat(time).timestamp()


def _within_a_year(time: str) -> str:
    if _IS_RFC_3339(time) is None:
        raise ValueError("should be a time with its offset, such as 2030-01-31T09:00:00+01:00")
    try:
        latest = datetime.now(UTC) + timedelta(days=MAX_AHEAD_DAYS)
        far = seconds_of(time) > latest.timestamp()
    except (ValueError, OverflowError):
        raise ValueError("is no time that there is") from None
    if far:
        raise ValueError(f"is more than {MAX_AHEAD_DAYS} days ahead")
    return time


Time = Annotated[
    str,
    Field(
        max_length=40,
        json_schema_extra={"format": "date-time", "pattern": _RFC_3339},
        examples=["2030-01-31T09:00:00+01:00"],
    ),
    AfterValidator(_within_a_year),
]


class WebhookRequest(BaseModel):
    """Who is told of the run's end."""

    model_config = STRICT

    url: str = Field(min_length=1, max_length=2048, examples=["https://example.com/hooks/runs"])
    secret: str = Field(
        pattern=r"^[A-Za-z0-9._-]{1,134}$",
        description="The name of the secret that signs the message, one of the service's; not the secret itself",
    )


class Deferred(BaseModel):
    """The fields of a run in the background."""

    on_busy: OnBusy = Field(
        "reject",
        description="What becomes of it while another run of the session is not over: `enqueue` has it wait, "
        "`interrupt` ends the other",
    )
    start_at: Time | None = Field(
        None,
        description="When it begins (RFC 3339, with an offset), "
        f"at most {MAX_AHEAD_DAYS} days ahead; now when left out",
    )
    webhook: WebhookRequest | None = Field(None, description="Is sent the run when it is over; nobody when left out")

    def in_background(self) -> Keeping:
        return Keeping(
            background=True,
            on_busy=self.on_busy,
            start_at=0.0 if self.start_at is None else max(0.0, seconds_of(self.start_at)),
            webhook=None if self.webhook is None else Webhook(self.webhook.url, self.webhook.secret),
        )


class Answered(Deferred):
    """The fields that say how the answer comes."""

    stream: bool = Field(False, description="Answer with server-sent events, as `/chat/stream` does; not when left out")
    background: bool = Field(
        False,
        description="Answer 202 at once, as `POST /runs` does, and let the run go on by itself; not when left out. "
        "`stream` then is as there",
    )
    resumable: bool | None = Field(
        None, description="Keep a stream's events for clients that lose their connection; the agent's when left out"
    )
    on_disconnect: OnDisconnect | None = Field(
        None, description="What becomes of the run when a resumable stream's client leaves; the agent's when left out"
    )

    def keeping(self, *, always_streams: bool = False) -> Keeping | None:
        """None: the run is not kept, or as its agent has it. Raises InvalidRequest for fields that do not go
        together."""
        given = self.__pydantic_fields_set__
        if given.isdisjoint(_KEPT):
            return None
        if self.background and always_streams:
            raise invalid([{"loc": ("background",), "msg": "This route streams. Use /chat, or POST /runs"}])
        if problems := [*self._misplaced(given, streams=always_streams or self.stream)]:
            raise invalid([{"loc": (field,), "msg": problem} for field, problem in problems])
        if self.background:
            return self.in_background()
        if given.isdisjoint(_OF_STREAMS):
            return None
        return Keeping(resumable=self.resumable, on_disconnect=self.on_disconnect, on_busy=self.on_busy)

    def _misplaced(self, given: set[str], *, streams: bool) -> Iterator[tuple[str, str]]:
        if not self.background:
            yield from ((field, "Needs background") for field in ("start_at", "webhook") if field in given)
        if self.background or not streams:
            yield from ((field, "Needs a stream") for field in ("resumable", "on_disconnect") if getattr(self, field))
            if "on_busy" in given and not self.background:
                yield "on_busy", "Needs background, or a stream that is resumable"
        if self.resumable is False:
            yield from ((field, "Needs resumable") for field in ("on_busy", "on_disconnect") if field in given)


_KEPT = frozenset(Answered.model_fields) - {"stream"}
_OF_STREAMS = frozenset({"resumable", "on_disconnect", "on_busy"})

"""The begin of a kept run, as its client learns of it: an error that has a status, or where they stand with their
limits."""

from collections.abc import Mapping

from app.durable.event_codec import decode_event
from app.durable.making import Begun
from app.runs.events import RunFailed, RunStarted

_FIRST_EVENT_SECONDS = 10.0
"""How long the head of a stream waits for it: a run that fails before it starts has a status of its own."""
_LEFT = "RateLimit"


async def check_start(begun: Begun) -> Mapping[str, str]:
    """The headers. Raises the error of a run that has failed before it started."""
    try:
        first = await begun.events.first(_FIRST_EVENT_SECONDS)
        if not first:
            return begun.headers
        match decode_event(first[0][1]):
            case RunFailed(error):
                raise error
            case RunStarted() as started if not begun.replayed:
                return with_limits(begun.headers, started.headers)
            case _:
                return begun.headers
    except BaseException:
        await begun.events.aclose()
        raise


def with_limits(rates: Mapping[str, str], more: Mapping[str, str]) -> Mapping[str, str]:
    """Where the caller stands with their rates, which were counted at the request, and with `more`, which the run took
    when its work began. In the order that a plain run has them in."""
    both = {_LEFT: f"{rates[_LEFT]}, {more[_LEFT]}"} if _LEFT in rates and _LEFT in more else {}
    return {**rates, **more, **both}

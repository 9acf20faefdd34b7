"""The time, anywhere."""

from datetime import datetime
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Annotated, TypedDict
from zoneinfo import ZoneInfo

from pydantic import Field

from app.tools.tool import ToolError, tool

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class Time(TypedDict):
    time: str
    weekday: str
    zone: str


@tool(effect="read", trusted=True)
async def clock(
    zone: Annotated[
        str, Field(description="IANA time zone, for example Europe/Berlin or America/New_York", max_length=64)
    ] = "UTC",
) -> Time:
    """The current date, time and weekday in a time zone. The time is ISO 8601 with the offset from UTC."""
    name = _zones().get(zone.strip().casefold())
    if name is None:
        raise ToolError(f"Unknown time zone {zone!r}.{_suggestion(zone)}")
    now = datetime.now(ZoneInfo(name))
    return {"time": now.isoformat(timespec="seconds"), "weekday": WEEKDAYS[now.weekday()], "zone": name}


@cache
def _zones() -> dict[str, str]:
    """Every zone by its name in lower case. Only these reach ZoneInfo, which takes a name for a file's.

    The list is the tzdata package's; zoneinfo.available_timezones() opens 600 files to make the same one.
    """
    return {name.casefold(): name for name in resources.files("tzdata").joinpath("zones").read_text().split()}


@cache
def _spellings() -> dict[str, list[str]]:
    """Zones by whole name and by place (`tokyo`, `new york`), in lower case."""
    found: dict[str, list[str]] = {}
    for lower, name in _zones().items():
        for spelling in {lower, lower.rpartition("/")[2].replace("_", " ")}:
            found.setdefault(spelling, []).append(name)
    return found


def _suggestion(zone: str) -> str:
    wanted = zone.strip().casefold()
    place = wanted.rpartition("/")[2].replace("_", " ")
    close = (
        [place] * (place in _spellings())
        or get_close_matches(wanted, _spellings(), cutoff=0.7)
        or get_close_matches(place, _spellings(), cutoff=0.7)
    )
    names = dict.fromkeys(name for spelling in close for name in _spellings()[spelling])
    if not names:
        return " Give an IANA name such as Europe/Berlin."
    return f" Did you mean {' or '.join(list(names)[:3])}?"

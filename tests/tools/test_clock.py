"""The time, in zones and under names that people write."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from app.tools import ToolError
from app.tools.built_in.clock import clock


async def test_without_a_zone_the_time_is_utc() -> None:
    answer = await clock()
    time = datetime.fromisoformat(answer["time"])
    assert time.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - time) < timedelta(seconds=5)
    assert answer["zone"] == "UTC"


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Etc/GMT+12"])
async def test_the_time_has_the_offset_and_the_weekday_of_the_zone(zone: str) -> None:
    answer = await clock(zone)
    time = datetime.fromisoformat(answer["time"])
    assert time.utcoffset() == time.replace(tzinfo=ZoneInfo(zone)).utcoffset()
    assert answer["weekday"] == time.strftime("%A")
    assert answer["zone"] == zone


@pytest.mark.parametrize("zone", ["europe/berlin", " Europe/Berlin ", "EUROPE/BERLIN"])
async def test_case_and_space_do_not_matter(zone: str) -> None:
    assert (await clock(zone))["zone"] == "Europe/Berlin"


@pytest.mark.parametrize(
    ("zone", "suggestion"),
    [
        ("Tokyo", "Asia/Tokyo"),
        ("new york", "America/New_York"),
        ("Germany/Berlin", "Europe/Berlin"),
        ("US/Pacfic", "US/Pacific"),
        ("America/New York", "America/New_York"),
    ],
)
async def test_an_unknown_zone_is_answered_with_close_ones(zone: str, suggestion: str) -> None:
    with pytest.raises(ToolError, match=f"Did you mean .*{suggestion}"):
        await clock(zone)


@pytest.mark.parametrize(
    "zone",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "/usr/share/zoneinfo/UTC",
        "Europe/../UTC",
        "./UTC",
        "UTC\0",
        "Europe",
        "posix/UTC",
        "right/UTC",
        "localtime",
        "tzdata.zi",
        "",
        "C:\\Windows",
    ],
)
async def test_what_is_a_path_or_no_zone_is_refused(zone: str) -> None:
    with pytest.raises(ToolError, match="Unknown time zone"):
        await clock(zone)


async def test_an_endless_name_is_refused_before_it_is_compared() -> None:
    with pytest.raises(ValidationError, match="64 characters"):
        await clock.validate({"zone": "x" * 100_000})

"""Calls that are made together: what ends the run is told as itself, with a journal and without."""

import asyncio

import pytest

from app.errors import GuardUnavailable
from app.runs.calls import _together


async def test_a_guard_that_breaks_in_one_of_them_ends_the_others_and_is_raised_as_itself() -> None:
    ended = asyncio.Event()

    async def other() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def broken() -> None:
        await asyncio.sleep(0)
        raise GuardUnavailable

    with pytest.raises(GuardUnavailable):
        await _together(other(), broken())
    assert ended.is_set()

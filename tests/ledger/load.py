"""A mixed load: runs that are answered, cut, refused, left, answered from the cache, with tools and by fallbacks."""

import asyncio
import random
from collections.abc import Coroutine, Iterator, Sequence
from itertools import cycle
from typing import Any, TypeVar

import aiohttp

from app.messages import ToolCall
from tests.resilience.acts import Act, Call, answer, broken_off, ended_by, error, in_arguments, in_reasoning, silent
from tests.resilience.asking import PATHS, Callers, Outcome
from tests.resilience.failures import Doing
from tests.resilience.schedules import Schedule

Asked = TypeVar("Asked")

ASKED_TWICE = "Once more."
LONGEST_STAY_SECONDS = 0.15
AT_ONCE = 8
_TOOL = ToolCall("call_1", "calculator", {"expression": "6*7"})


def misbehaving() -> Schedule:
    """Every fifth call is cut within its answer, another asks for a tool, another fails in one way or another."""
    doings: Iterator[Doing] = cycle(
        (
            lambda call: broken_off(call, "reset"),
            lambda call: broken_off(call, texts=0),
            in_arguments,
            in_reasoning,
            lambda call: ended_by(call, "content_filter"),
            lambda _: error(503),
            lambda _: error(500),
            lambda _: error(400, "invalid_request_error"),
        )
    )
    turns = {stream: cycle(("answer", "cut", "answer", "tool", "fail")) for stream in (False, True)}

    def act(_: int, call: Call) -> Act:
        asked = call.body["messages"][-1]
        if asked["role"] == "tool" or asked.get("content") == ASKED_TWICE:
            return answer(call)
        match next(turns[call.stream]):
            case "cut":
                return broken_off(call)
            case "tool":
                return answer(call, (), [_TOOL])
            case "fail":
                return next(doings)(call)
        return answer(call)

    return act


def sluggish(chance: random.Random) -> Schedule:
    """Begins an answer in some way and never ends it."""
    doings = (silent, lambda call: broken_off(call, "silent"), in_arguments_for_ever, in_reasoning_for_ever)

    def act(_: int, call: Call) -> Act:
        if not call.stream:
            return silent(call)
        began = chance.choice(doings)(call)
        return Act(began.pieces, began.status, began.headers, began.head, began.ending, pause=0.01)

    return act


def in_arguments_for_ever(call: Call) -> Act:
    return in_arguments(call, "silent")


def in_reasoning_for_ever(call: Call) -> Act:
    return in_reasoning(call, "silent")


async def load(url: str, chance: random.Random, *, runs: int, left: int, cached: int, limited: int) -> list[Outcome]:
    """What those who stayed were answered."""
    async with Callers() as callers, aiohttp.ClientSession() as others:
        mixed = [callers.ask(url, stream=number % 2 == 1, message=f"Question {number}.") for number in range(runs)]
        leaving = [_leave(others, url, number, chance.uniform(0, LONGEST_STAY_SECONDS)) for number in range(left)]
        outcomes, _ = await asyncio.gather(_at_once(mixed), _at_once(leaving))
        outcomes += [await callers.ask(url, message=ASKED_TWICE) for _ in range(cached)]
        for _ in range(limited):
            async with others.post(f"{url}/agent/run", json={"query": "Too often?"}) as response:
                assert response.status == 429, await response.text()
    return outcomes


async def _at_once(asked: Sequence[Coroutine[Any, Any, Asked]]) -> list[Asked]:
    """All of them, a few at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(ask: Coroutine[Any, Any, Asked]) -> Asked:
        async with places:
            return await ask

    return list(await asyncio.gather(*map(one, asked)))


async def _leave(session: aiohttp.ClientSession, url: str, number: int, seconds: float) -> None:
    """Ask, and go away after so many seconds."""
    body = {"message": f"Never mind {number}.", "agent": "left"}
    try:
        async with asyncio.timeout(seconds), session.post(f"{url}{PATHS[number % 3 > 0]}", json=body) as response:
            await response.read()
    except TimeoutError:
        return
    raise AssertionError("an answer that never ends has ended")

"""Deadlines within a call: the first content, the next one, and what does not count as content."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from app.errors import ModelUnavailable
from app.messages import UserMessage
from app.models.call_records import Attempt
from app.models.observed import ObservedModel
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.silence import Deadlines
from tests.doubles import CHEAP, USAGE, ScriptedModel

QUICK = Deadlines(0.3, 0.0, 0.15)
"""Two gaps fit into the first wait: a timer for that alone would notice a stall too late."""

Piece = float | str | tuple[str, str]
"""Seconds of silence, text, or what is written beside it."""


class TimedModel(ScriptedModel):
    """Says its pieces at their times."""

    def __init__(self, *pieces: Piece) -> None:
        super().__init__()
        self.pieces = pieces

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        for piece in self.pieces:
            match piece:
                case float():
                    await asyncio.sleep(piece)
                case str():
                    on_text(piece)
                case (kind, text):
                    on_beside(kind, text)  # type: ignore[arg-type]  # a script says no other
        return Completion("stop", USAGE)


class LoadingModel(TimedModel):
    """Has to be loaded before it answers; `loads_for` None: it has been all the time."""

    loads_for: float | None = None

    async def wait_loaded(self) -> bool:
        if self.loads_for is not None:
            await asyncio.sleep(self.loads_for)
        return self.loads_for is not None


class Told:
    """What one attempt came to."""

    def __init__(self, reason: str, seconds: float, attempts: Sequence[Attempt]) -> None:
        self.reason, self.seconds, self.attempts = reason, seconds, attempts


async def call(
    model: ScriptedModel,
    deadlines: Deadlines = QUICK,
    ends_in: float = 60.0,
    *,
    stream: bool = True,
    message: str = "?",
) -> Told:
    """The reason of its failure, or nothing."""
    observed = ObservedModel(model, CHEAP, deadlines)
    attempts: list[Attempt] = []
    clock = asyncio.get_running_loop().time
    started, reason = clock(), ""
    request = ModelRequest("", [UserMessage(message)], stream=stream)
    try:
        await observed.generate(request, lambda _: None, lambda *_: None, attempts.append, started + ends_in)
    except ModelUnavailable as error:
        reason = error.reason
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0, "what the deadline cancelled is taken back"
    return Told(reason, clock() - started, attempts)


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ((60.0, "Hi"), "silent"),
        (("Hi", 60.0), "stalled"),
        ((("reasoning", "Hm"), 60.0), "stalled"),
        ((("arguments", "{"), 60.0), "stalled"),
        ((("reasoning", ""), 60.0), "stalled"),
        ((0.2, "Hi", 60.0), "stalled"),
        ((0.02, "Hi", 0.05, "Hi", 0.05, "Hi", 0.05, "Hi", 0.05, "Hi"), ""),
    ],
)
async def test_a_stream_that_is_silent_for_too_long_is_ended(pieces: Sequence[Piece], reason: str) -> None:
    told = await call(TimedModel(*pieces))
    assert told.reason == reason
    assert told.seconds < 20
    if reason:
        assert [attempt.uncertain for attempt in told.attempts] == [True]


async def test_a_stall_is_noticed_a_gap_after_the_last_piece() -> None:
    told = await call(TimedModel(0.02, "Hi", 60.0), Deadlines(30.0, 0.0, 0.2))
    assert (told.reason, told.seconds >= 0.2, told.seconds < 15) == ("stalled", True, True)


async def test_a_long_prompt_has_more_time() -> None:
    deadlines = Deadlines(0.1, 0.1, 0.1)
    long = "x" * 4 * 4000  # 4,000 tokens: 0.4 s
    assert (await call(TimedModel(0.3, "Hi"), deadlines, message=long)).reason == ""
    assert (await call(TimedModel(60.0, "Hi"), deadlines, message=long)).reason == "silent"


async def test_a_plain_call_is_bounded_by_its_end_only() -> None:
    assert (await call(TimedModel(0.5, "Hi"), stream=False)).reason == ""
    told = await call(TimedModel(60.0, "Hi"), ends_in=0.1, stream=False)
    assert (told.reason, [attempt.uncertain for attempt in told.attempts]) == ("timeout", [True])


async def test_the_end_bounds_a_stream_until_its_first_content() -> None:
    assert (await call(TimedModel(60.0, "Hi"), Deadlines(), 0.1)).reason == "silent"
    assert (await call(TimedModel("Hi", 0.3, "Hi"), Deadlines(), 0.1)).reason == ""


@pytest.mark.parametrize(
    ("loads_for", "answers_after", "reason"),
    [(None, 60.0, "silent"), (0.5, 0.7, ""), (0.5, 60.0, "silent"), (60.0, 60.0, "silent")],
)
async def test_the_time_of_loading_is_not_counted(loads_for: float | None, answers_after: float, reason: str) -> None:
    model = LoadingModel(answers_after, "Hi")
    model.loads_for = loads_for
    told = await call(model, ends_in=1.5)
    assert told.reason == reason
    if reason and loads_for is not None:
        assert told.seconds > min(loads_for, 1.4)


async def test_many_calls_are_watched_each_by_its_own_time() -> None:
    observed = ObservedModel(TimedModel(0.05, "Hi", 0.05, "Hi"), CHEAP, QUICK)
    hanging = ObservedModel(TimedModel("Hi", 60.0), CHEAP, QUICK)
    request = ModelRequest("", [UserMessage("?")])

    async def one(number: int) -> str:
        await asyncio.sleep(number / 100)
        try:
            await (hanging if number % 3 else observed).generate(request, lambda _: None)
        except ModelUnavailable as error:
            return error.reason
        return ""

    ended = await asyncio.gather(*(one(number) for number in range(30)))
    assert ended == ["stalled" if number % 3 else "" for number in range(30)]


async def test_a_process_that_was_itself_asleep_blames_no_model() -> None:
    async def doze() -> None:
        await asyncio.sleep(0.02)
        time.sleep(0.5)  # noqa: ASYNC251 - as when its CPU is taken away

    told, _ = await asyncio.gather(call(TimedModel("Hi", 0.05, "Hi", 0.05, "Hi")), doze())
    assert told.reason == ""


async def test_a_caller_who_leaves_is_no_silence() -> None:
    observed = ObservedModel(TimedModel(60.0), CHEAP, QUICK)
    task = asyncio.create_task(observed.generate(ModelRequest("", [UserMessage("?")]), lambda _: None))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deadline_around_the_call_stays_the_callers() -> None:
    observed = ObservedModel(TimedModel(60.0), CHEAP, QUICK)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await observed.generate(ModelRequest("", [UserMessage("?")]), lambda _: None)


@asynccontextmanager
async def _nothing_left() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0.05)
    assert asyncio.all_tasks() == before


async def test_no_question_outlives_its_call() -> None:
    model = LoadingModel(0.3, "Hi")
    model.loads_for = 60.0
    async with _nothing_left():
        assert (await call(model, ends_in=5)).reason == ""

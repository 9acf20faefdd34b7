"""A model call that is cut: what it is estimated to have used, and how that is told."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ModelUnavailable
from app.messages import Usage
from app.models.call_records import Attempt
from app.models.cut_calls import READ_TOKENS_A_SECOND, done_by_then
from app.models.pace import MAX_TOKENS_A_SECOND
from app.models.protocol import Beside
from tests.doubles import answers
from tests.logged import capture_logs
from tests.models.observed_call import Stage


@pytest.mark.parametrize(("max_tokens", "written"), [(100, 40), (25, 25)])
async def test_a_plain_call_that_is_cut_has_written_what_its_model_writes_in_that_time(
    max_tokens: int, written: int
) -> None:
    stage = Stage(asyncio.Event())
    for _ in range(300):
        stage.priced.pace.add(400, 2.0)  # 200 a second
    task = asyncio.create_task(stage.call(stream=False, max_tokens=max_tokens))
    await asyncio.sleep(0.2)
    task.cancel()
    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await task
    [(usage, cost_usd)] = stage.used
    assert written <= usage.output_tokens <= min(written + 20, max_tokens)
    assert usage.input_tokens > 0
    [line] = logs
    assert (line["uncertain"], line["output_tokens"], line["success"]) == (True, usage.output_tokens, False)
    assert stage.metric("agent_uncertain_tokens_total", type="output") == usage.output_tokens
    assert stage.metric("agent_tokens_total", type="output") == usage.output_tokens
    assert stage.metric("agent_cost_usd_total") == cost_usd


async def test_before_any_call_has_ended_a_cut_call_books_little() -> None:
    stage = Stage(asyncio.Event())
    task = asyncio.create_task(stage.call(stream=False, max_tokens=4096))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [(usage, _)] = stage.used
    assert 5 <= usage.output_tokens <= 15


async def test_the_pace_is_that_of_the_calls_that_ended() -> None:
    stage = Stage(*answers("a", usage=Usage(10, 1000)))
    before = stage.priced.pace.written(1.0)
    await stage.call()
    assert stage.priced.pace.written(1.0) > before + 100


async def test_reasoning_that_a_provider_keeps_to_itself_counts_by_its_time() -> None:
    stage = Stage("Hi", ModelUnavailable("", reason="cut_stream"))
    stage.model.reasons = True
    stage.model.pause = 0.1
    with pytest.raises(ModelUnavailable):
        await stage.call(max_reasoning_tokens=1000)
    assert 1 + 5 <= stage.used[0][0].output_tokens <= 1 + 15


async def cut(stage: Stage, seconds: float, *, stream: bool = True, max_tokens: int = 4096) -> Attempt:
    """What is booked of a call whose caller leaves after so much time."""
    task = asyncio.create_task(stage.call(stream=stream, max_tokens=max_tokens))
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [attempt] = stage.attempts
    assert attempt.uncertain
    return attempt


async def test_no_model_is_believed_to_write_as_fast_as_a_cache_answers() -> None:
    stage = Stage(asyncio.Event())
    for _ in range(300):
        stage.priced.pace.add(2000, 0.001)
    assert stage.priced.pace.written(0.02) == 0.02 * MAX_TOKENS_A_SECOND
    attempt = await cut(stage, 0.02, stream=False)
    assert attempt.usage.output_tokens < 2000


@pytest.mark.parametrize("kind", ["reasoning", "arguments"])
async def test_a_stream_that_is_left_beside_its_text_has_written_what_came(kind: Beside) -> None:
    stage = Stage((kind, "x" * 40), (kind, ""), (kind, ""), asyncio.Event())
    attempt = await cut(stage, 0.02)
    assert attempt.usage.output_tokens == 10 + 2


async def test_what_was_held_back_and_then_told_counts_once() -> None:
    stage = Stage(("reasoning", ""), ("reasoning", ""), "x" * 40, asyncio.Event())
    attempt = await cut(stage, 0.02)
    assert attempt.usage.output_tokens == 10


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.floats(0, 600), st.booleans(), st.booleans())
def test_others_are_never_charged_more_than_the_caller_nor_more_than_a_model_can_have_done(
    read: int, written: int, seconds: float, heard: bool, left: bool
) -> None:
    usage = Usage(read, written)
    error = asyncio.CancelledError() if left else ModelUnavailable("", reason="cut_stream")
    done = done_by_then(usage, error, seconds, heard=heard)
    assert done.output_tokens == written
    if heard or not left:
        assert done == usage
    else:
        assert done.input_tokens <= min(read, seconds * READ_TOKENS_A_SECOND + 1)


async def test_a_call_left_before_it_was_heard_charges_others_what_can_have_been_read() -> None:
    silent, heard = Stage(asyncio.Event()), Stage("Hi", asyncio.Event())
    attempt = await cut(silent, 0)
    assert attempt.shared is not None
    assert attempt.shared <= (attempt.usage.total, attempt.nanos)
    assert (await cut(heard, 0.01)).shared is None

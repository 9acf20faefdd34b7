"""A model call that is cut: what it is estimated to have used, and how that is told."""

import asyncio

import pytest

from app.errors import ModelUnavailable
from app.messages import Usage
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
    assert stage.metric("agent_tokens_total", type="output") is None
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

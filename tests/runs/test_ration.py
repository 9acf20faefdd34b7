"""A run reserves its first model call and grows at each next one, in the round trip that settles the one before."""

import asyncio
from typing import Any

import pytest

from app.errors import BudgetExceeded
from app.messages import ToolCall, Usage
from app.models.protocol import Completion
from app.runs.events import RunFailed
from app.state.in_process import InProcessStore
from app.tools import tool
from tests.doubles import ADA as ADA_OF_STAGE
from tests.doubles import CHEAP, AbsentStore, ScriptedModel, answers, asks_for
from tests.stage import Stage

TOKENS: dict[str, Any] = {"budget_user_day_tokens": 50_000}  # as much as MAX_RUN_TOKENS: one run could use it all


@tool
async def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@tool
async def page() -> str:
    """A long result."""
    return "x" * 8_000


def call(number: int = 4, name: str = "double") -> ToolCall:
    return ToolCall(str(number), name, {"number": number} if name == "double" else {})


async def reserved(stage: Stage) -> int:
    (user,) = await stage.limiter.usage.standings(ADA_OF_STAGE)
    return int(user.tokens.reserved)


class Counting(InProcessStore):
    """Counts the scripts that are run."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0

    def call(self, *command: Any) -> asyncio.Future[Any]:
        self.scripts += command[0] == "EVALSHA"
        return super().call(*command)


async def test_a_run_does_not_reserve_more_than_its_first_call_may_use() -> None:
    silent = asyncio.Event()
    stage = Stage(ScriptedModel([silent, *answers("hi")]), tools=[double], **TOKENS)
    run = asyncio.create_task(stage.answer())
    await stage.model.opened.wait()
    assert 4096 < await reserved(stage) < 8_000
    silent.set()
    await run
    assert await reserved(stage) == 0


async def test_a_small_budget_lets_several_runs_of_a_user_go_on_at_once() -> None:
    silent = asyncio.Event()
    stage = Stage(ScriptedModel([silent, *answers("hi")]), tools=[double], budget_user_day_tokens=16_000)
    runs = [asyncio.create_task(stage.answer(session_id=f"s{number}")) for number in range(3)]
    while stage.model.open < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    silent.set()
    assert [answer.answer for answer in await asyncio.gather(*runs)] == ["hi"] * 3


async def test_a_run_that_goes_on_has_as_many_round_trips_as_one_without_a_budget() -> None:
    store = Counting()
    script = [asks_for(call(1)), asks_for(call(2)), answers("done")]
    stage = Stage(ScriptedModel(*script), tools=[double], store=store, **TOKENS)
    await stage.answer()
    assert store.scripts == 1 + 2 + 2  # admitted; settled after each call that goes on; settled and remembered


async def test_a_result_that_is_longer_than_expected_grows_once_more() -> None:
    model = ScriptedModel(asks_for(call(name="page"), usage=Usage(3_000, 10)), answers("done"))
    stage = Stage(model, tools=[page], **TOKENS)
    assert (await stage.answer()).answer == "done"
    assert model.requests[1].max_tokens == 4096 - 10


async def test_a_run_that_may_not_grow_ends_with_what_there_is() -> None:
    """The user's other run takes what is left while this one has its tool called."""
    stage: Stage

    @tool
    async def rival() -> str:
        """Spend what is left."""
        left = 50_000 - 2_000 - await reserved(stage)
        reservation = stage.limiter.reservation(ADA_OF_STAGE, "chat", "rival", (left, 0))
        await stage.limiter.reserve(reservation, lambda _: None)
        reservation.record("m", Usage(left), 0.0)
        await stage.limiter.settle(reservation)
        return "x" * 9_500

    model = ScriptedModel(asks_for(call(name="rival"), text="Let me see.", usage=Usage(1_990, 10)), answers("no"))
    stage = Stage(model, tools=[rival], **TOKENS)
    answer = await stage.answer()
    assert (answer.answer, answer.finish_reason, answer.iterations) == ("Let me see.", "max_tokens", 1)
    (user,) = await stage.limiter.usage.standings(ADA_OF_STAGE)
    assert user.tokens.spent <= 50_000
    assert user.tokens.reserved == 0


async def test_a_run_ends_by_its_cost_when_money_is_what_is_short() -> None:
    model = ScriptedModel(asks_for(call(), text="Hm.", usage=Usage(1_000, 500)), answers("no"))
    stage = Stage(model, tools=[double], price=CHEAP, budget_user_day_usd=0.0043)
    answer = await stage.answer()
    assert (answer.answer, answer.finish_reason, answer.iterations) == ("Hm.", "max_cost", 1)


async def test_where_less_is_left_than_wanted_the_next_answer_is_shorter() -> None:
    model = ScriptedModel(asks_for(call(), usage=Usage(1_500, 4)), answers("short"))
    stage = Stage(model, tools=[double], budget_user_day_tokens=8_000)
    assert (await stage.answer()).answer == "short"
    assert 256 <= model.requests[1].max_tokens < 4_092


async def test_a_history_for_which_nothing_is_left_is_refused_as_a_budget() -> None:
    stage = Stage(ScriptedModel(answers("x" * 6_000)), tools=[double], budget_user_day_tokens=9_000)
    await stage.answer(session_id="s")
    reservation = stage.limiter.reservation(ADA_OF_STAGE, "chat", "other", (3_500, 0))
    await stage.limiter.reserve(reservation, lambda _: None)
    last = (await stage.events(session_id="s"))[-1]
    assert isinstance(last, RunFailed)
    assert isinstance(last.error, BudgetExceeded)


async def test_the_run_s_own_limits_bound_what_it_grows_to() -> None:
    model = ScriptedModel(asks_for(call(), usage=Usage(100, 10)))
    stage = Stage(model, tools=[double], max_run_tokens=6_000, **TOKENS)
    answer = await stage.answer()
    assert answer.finish_reason in ("max_tokens", "max_iterations")
    assert answer.usage.total <= 6_000


async def test_reasoning_is_reserved_and_bounded_beside_the_answer() -> None:
    model = ScriptedModel(
        [Completion("tool_calls", Usage(100, 3_010), (call(),), reasoning_tokens=3_000)],
        [Completion("tool_calls", Usage(100, 1_010), (call(5),), reasoning_tokens=1_000)],
        answers("42"),
    )
    model.reasons = True
    stage = Stage(model, tools=[double], max_tokens=1_000, max_reasoning_tokens=4_000, **TOKENS)
    answer = await stage.answer()
    assert (answer.answer, answer.finish_reason) == ("42", "stop")
    first, second, third = model.requests
    assert (first.max_tokens, first.max_reasoning_tokens) == (1_000, 4_000)
    assert (second.max_tokens, second.max_reasoning_tokens) == (990, 1_000)
    assert (third.max_tokens, third.max_reasoning_tokens) == (980, 0)


async def test_reasoning_above_its_bound_counts_as_answer() -> None:
    script = [Completion("tool_calls", Usage(100, 5_010), (call(),), reasoning_tokens=5_000)]
    model = ScriptedModel(script, answers("no"))
    model.reasons = True
    stage = Stage(model, tools=[double], max_tokens=1_000, max_reasoning_tokens=4_000, **TOKENS)
    answer = await stage.answer()
    assert (answer.finish_reason, answer.iterations) == ("max_tokens", 1)


async def test_a_model_that_does_not_reason_is_given_no_tokens_for_it() -> None:
    stage = Stage(ScriptedModel(answers("hi")), max_reasoning_tokens=4_000)
    await stage.answer()
    assert stage.model.requests[0].max_reasoning_tokens == 0


async def test_what_is_short_is_shared_between_thinking_and_answering() -> None:
    model = ScriptedModel(answers("hi"))
    model.reasons = True
    stage = Stage(model, budget_user_day_tokens=1_000)
    await stage.answer()
    [request] = model.requests
    assert request.max_tokens + request.max_reasoning_tokens < 1_000
    assert abs(request.max_tokens - request.max_reasoning_tokens) <= 1


@pytest.mark.parametrize("fail", ["open", "closed"])
async def test_a_store_that_is_away_ends_growth_or_the_limit(fail: str) -> None:
    class Leaving(InProcessStore):
        away = False

        def call(self, *command: Any) -> asyncio.Future[Any]:
            return AbsentStore().call(*command) if self.away else super().call(*command)

    store = Leaving()

    @tool
    async def leave() -> str:
        """Take the store away."""
        store.away = True
        return "x" * 9_000

    model = ScriptedModel(asks_for(call(name="leave"), usage=Usage(1_000, 10)), answers("on my own"))
    stage = Stage(model, tools=[leave], store=store, limits_fail=fail, **TOKENS)
    last = (await stage.events())[-1]
    if fail == "open":
        assert not isinstance(last, RunFailed)
    else:
        assert isinstance(last, RunFailed)
        assert last.error.slug == "limits-unavailable"

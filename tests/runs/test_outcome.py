"""What a run came to: one word for each way in which it can end, counted once."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.api.failures import kinds_of_errors
from app.errors import (
    AppError,
    ContextTooLong,
    DeadlineExceeded,
    InternalError,
    ModelRateLimited,
    ModelUnavailable,
    ShuttingDown,
)
from app.messages import ToolCall
from app.runs.context import RunContext
from app.runs.events import RunFailed
from app.runs.handle import RunHandle
from app.runs.outcome import OUTCOMES, Outcome, outcome_of
from app.runs.pipeline import execute
from app.runs.request import RunRequest
from app.tools import tool
from tests.doubles import ADA, CHEAP, ScriptedModel, answers, asks_for
from tests.logged import capture_logs
from tests.stage import Stage

RATE_LIMITS = '{"tiers": {"default": {"user": {"per_minute": 1}}}}'


def counted() -> Mapping[str, float]:
    """Runs of the default agent so far, by what they came to."""
    return {
        outcome: REGISTRY.get_sample_value("agent_runs_total", {"agent": "default", "outcome": outcome}) or 0.0
        for outcome in OUTCOMES
    }


class Counting:
    """The runs that were counted within a block, and what the log says of each."""

    def __enter__(self) -> "Counting":
        self._before = counted()
        self._capture = capture_logs()
        self.lines = self._capture.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.__exit__(None, None, None)
        after = counted()
        self.more = {outcome: count for outcome in OUTCOMES if (count := int(after[outcome] - self._before[outcome]))}

    def only(self, outcome: Outcome, times: int = 1) -> dict[str, Any]:
        """The one line of the runs, all of which came to this."""
        assert self.more == {outcome: times}
        ends = [line for line in self.lines if line["event"] in ("agent.request.success", "agent.request.failed")]
        assert [line["outcome"] for line in ends] == [outcome] * times
        return ends[-1]


def of_kind(kind: type[AppError]) -> AppError:
    """One of the class, without what its maker would say."""
    error = kind.__new__(kind)
    Exception.__init__(error, "made up")
    return error


def test_every_error_that_there_is_has_an_outcome() -> None:
    outcomes = {kind.__name__: outcome_of(of_kind(kind)) for kind in kinds_of_errors()}
    assert outcomes == {
        "AppError": "failed_internal",
        "InvalidRequest": "refused",
        "ContextTooLong": "refused",
        "ContentFiltered": "refused",
        "RequestTooExpensive": "limited",
        "Unauthorized": "refused",
        "Forbidden": "refused",
        "NotFound": "refused",
        "Conflict": "refused",
        "SessionBusy": "refused",
        "RunOver": "refused",
        "BatchOver": "refused",
        "ApprovalOver": "refused",
        "ApprovalChanged": "refused",
        "UnsafeInput": "refused",
        "GuardUnavailable": "failed_internal",
        "RunCancelled": "client_gone",
        "KeyReused": "refused",
        "EventsGone": "refused",
        "TooManyRuns": "limited",
        "TooManyBatches": "limited",
        "NoWorkers": "failed_internal",
        "RunExpired": "deadline",
        "RunCrashed": "failed_internal",
        "MalformedRequest": "failed_internal",
        "RequestTimeout": "failed_internal",
        "HeadTooLarge": "failed_internal",
        "BodyTooLarge": "failed_internal",
        "UnsupportedMediaType": "failed_internal",
        "MethodNotAllowed": "failed_internal",
        "RateLimited": "limited",
        "BudgetExceeded": "limited",
        "LimitsUnavailable": "failed_internal",
        "ModelError": "failed_model",
        "ModelRateLimited": "failed_model",
        "ModelUnavailable": "failed_model",
        "Refused": "failed_model",
        "IdentityUnavailable": "failed_internal",
        "StateUnavailable": "failed_internal",
        "Overloaded": "limited",
        "ShuttingDown": "failed_internal",
        "DeadlineExceeded": "deadline",
        "InternalError": "failed_internal",
    }


def test_what_is_no_error_of_ours_has_an_outcome() -> None:
    assert outcome_of(asyncio.CancelledError()) == "client_gone"
    assert outcome_of(ValueError()) == outcome_of(KeyboardInterrupt()) == "failed_internal"


@pytest.mark.parametrize("reason", ["stop", "max_tokens", "max_iterations", "max_cost"])
def test_an_answer_that_a_limit_of_the_run_has_cut_is_one(reason: Any) -> None:
    assert outcome_of(None, reason) == "ok"


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
async def test_a_refusal_is_no_answer(reason: Any) -> None:
    stage = Stage(ScriptedModel(answers("No.", reason=reason)))
    with Counting() as counting:
        await stage.events()
    assert counting.only("refused")["finish_reason"] == reason


@pytest.mark.parametrize("stream", [False, True])
async def test_a_run_with_an_answer_is_ok(stream: bool) -> None:
    stage = Stage(ScriptedModel(answers("Hi.")))
    with Counting() as counting:
        answer = await stage.answer(stream=stream)
    line = counting.only("ok")
    assert (line["run_id"], line["tokens"], line["latency_ms"]) == (
        answer.run_id,
        answer.tokens_used,
        answer.latency_ms,
    )
    assert (line["ttft_ms"] is not None) == stream


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ModelUnavailable("Away.", reason="overloaded"), "failed_model"),
        (ModelRateLimited("Later.", reason="rate_limited"), "failed_model"),
        (ContextTooLong("Too long."), "refused"),
        (DeadlineExceeded("Too late."), "deadline"),
        (ZeroDivisionError(), "failed_internal"),
    ],
)
async def test_a_run_whose_model_fails_after_its_first_word_has_failed(
    error: Exception, outcome: Outcome, stream: bool
) -> None:
    stage = Stage(ScriptedModel(["Hel", error]), price=CHEAP)
    with Counting() as counting:
        events = await stage.events(stream=stream)
    assert isinstance(events[-1], RunFailed)
    line = counting.only(outcome)
    assert line["finish_reason"] is None
    assert (line["tokens"] > 0) == (line["cost_usd"] > 0) == (line["uncertain_tokens"] > 0)


async def test_our_own_limits_are_no_failure() -> None:
    stage = Stage(ScriptedModel(answers("Hi.")), limits=RATE_LIMITS)
    await stage.events()
    with Counting() as counting:
        await stage.events()
    assert counting.only("limited")["error"] == "rate-limited"


async def test_a_deadline_is_one() -> None:
    stage = Stage(ScriptedModel(["Hel", asyncio.Event()]), run_timeout_seconds=0.1)
    with Counting() as counting:
        await stage.events()
    assert counting.only("deadline")["error"] == "deadline-exceeded"


@pytest.mark.parametrize("turns", [*range(0, 40, 2)])
async def test_a_run_that_is_left_at_any_moment_is_counted_once(turns: int) -> None:
    @tool
    async def double(number: int) -> int:
        """Twice the number."""
        await asyncio.sleep(0)
        return 2 * number

    model = ScriptedModel(asks_for(ToolCall("1", "double", {"number": 1})), ["Hel", asyncio.Event()])
    stage = Stage(model, tools=[double], price=CHEAP, budget_user_day_tokens=100_000)
    with Counting() as counting:
        async with stage.runner.start(ADA, RunRequest("Hello", stream=True)):
            for _ in range(turns):
                await asyncio.sleep(0)
    assert counting.only("client_gone")["error"] == "cancelled"


async def test_a_run_that_the_process_ends_is_the_services_fault() -> None:
    stage = Stage(ScriptedModel(["Hel", asyncio.Event()]))
    with Counting() as counting:
        async with stage.runner.start(ADA, RunRequest("Hello")) as run:
            await stage.model.opened.wait()
            run.fail(ShuttingDown.now())
            assert [event.name async for event in run][-1] == "run.failed"
    assert counting.only("failed_internal")["error"] == "shutting-down"


async def test_a_run_that_ends_before_it_began_is_counted() -> None:
    stage = Stage(ScriptedModel(answers("Hi.")))
    with Counting() as counting:
        stage.runner.start(ADA, RunRequest("Hello")).fail(ShuttingDown.now())
    assert counting.only("failed_internal")["iterations"] == 0


async def test_a_run_whose_pipeline_crashes_is_counted() -> None:
    async def crash(_: RunContext, __: RunHandle) -> None:
        raise ZeroDivisionError

    stage = Stage(ScriptedModel(answers("Hi.")), pipeline=crash)
    with Counting() as counting:
        events = await stage.events()
    assert isinstance(events[-1], RunFailed)
    assert counting.only("failed_internal")["error"] == InternalError.slug


async def test_a_run_that_fails_and_then_is_left_has_failed() -> None:
    error = ModelUnavailable("Away.", reason="overloaded")
    left: list[RunHandle] = []

    async def leave_while_settling(run: RunContext, handle: RunHandle) -> None:
        left.append(handle)
        await execute(run, handle)

    stage = Stage(ScriptedModel(["Hel", error]), pipeline=leave_while_settling, price=CHEAP)
    settle = stage.limiter.settle

    async def left_meanwhile(*args: Any, **options: Any) -> None:
        left[0].cancel()
        await asyncio.sleep(0)
        await settle(*args, **options)

    stage.limiter.settle = left_meanwhile  # type: ignore[method-assign]
    with Counting() as counting:
        async with stage.runner.start(ADA, RunRequest("Hello")) as run:
            await run.wait()
            await asyncio.sleep(0.05)
    assert counting.only("failed_model")["error"] == error.slug


async def test_an_answer_from_the_cache_is_ok_and_costs_nothing() -> None:
    stage = Stage(ScriptedModel(answers("42")), price=CHEAP, answer_cache=True)
    await stage.answer()
    with Counting() as counting:
        await stage.answer()
    line = counting.only("ok")
    assert (line["cached"], line["tokens"], line["cost_usd"], line["attempts"]) == (True, 0, 0, 0)


def test_every_outcome_of_every_agent_begins_at_0() -> None:
    Stage(ScriptedModel(answers("Hi.")), agents={"fresh": {}})
    for outcome in OUTCOMES:
        assert REGISTRY.get_sample_value("agent_runs_total", {"agent": "fresh", "outcome": outcome}) == 0.0
    assert REGISTRY.get_sample_value("agent_run_latency_seconds_count", {"agent": "fresh"}) == 0.0


async def test_the_largest_prompt_of_a_run_is_a_share_of_its_models_window() -> None:
    model = ScriptedModel(answers("Hi."), name="windowed")
    model.context_window = 100
    await Stage(model).answer()
    assert REGISTRY.get_sample_value("agent_run_context_ratio_sum", {"model": model.ref}) == 0.1

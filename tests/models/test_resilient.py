"""One call of a model: its attempts, its gates, and what is told of them."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from app.errors import AppError, ModelRateLimited, ModelUnavailable
from app.models.call_records import Attempt
from app.models.observed import ObservedModel
from app.models.protocol import Completion
from app.models.resilient import ResilientModel
from app.models.retries import Retries
from app.models.retry_budget import RetryBudget
from tests.doubles import CHEAP, USAGE, Script, ScriptedModel, Step, answers
from tests.logged import capture_logs
from tests.models.whole_answer import ask


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.models.retries.FIRST_SECONDS", 0.0)


def unavailable(reason: str = "server_error", retry_after: float | None = None) -> ModelUnavailable:
    return ModelUnavailable("", reason=reason, retry_after=retry_after)


class Called:
    """A model that plays scripts, and what its calls tell."""

    def __init__(self, *scripts: Script, retries: int = 3) -> None:
        self.model = ScriptedModel(*scripts)
        budget = RetryBudget()
        self.resilient = ResilientModel(
            ObservedModel(self.model, CHEAP), Retries(self.model.ref, retries, 20.0, budget)
        )
        self.texts: list[str] = []
        self.attempts: list[Attempt] = []

    async def __call__(self, ends_at: float = float("inf"), *, stream: bool = True) -> Completion:
        request = ask(stream=stream)
        return await self.resilient.generate(request, self.texts.append, lambda *_: None, self.attempts.append, ends_at)


async def test_a_failure_is_followed_by_another_attempt() -> None:
    called = Called([unavailable()], [unavailable("overloaded")], answers("Hello"))
    with capture_logs() as logs:
        completion = await called()
    assert (called.texts, completion.attempts, len(called.model.requests)) == (["Hello"], 3, 3)
    assert [line.get("attempt") for line in logs] == [None, 2, 3]
    assert [attempt.uncertain for attempt in called.attempts] == [False], "what failed has cost nothing"


async def test_each_attempt_that_may_be_billed_is_told() -> None:
    called = Called([unavailable("disconnected")], answers("Hello"))
    completion = await called()
    assert [attempt.uncertain for attempt in called.attempts] == [True, False]
    assert completion.usage == USAGE


async def test_the_last_failure_is_raised_after_as_many_attempts_as_there_may_be() -> None:
    called = Called([unavailable()], [unavailable("overloaded")], retries=1)
    with pytest.raises(ModelUnavailable) as caught:
        await called()
    assert (caught.value.reason, len(called.model.requests)) == ("overloaded", 2)


@pytest.mark.parametrize("step", ["Hel", ("reasoning", "Hm"), ("arguments", '{"a')])
async def test_nothing_is_tried_again_once_content_has_gone_out(step: Step) -> None:
    called = Called([step, unavailable("cut_stream")], answers("Hello"))
    with pytest.raises(ModelUnavailable):
        await called()
    assert len(called.model.requests) == 1


async def test_content_of_a_retry_ends_the_retries() -> None:
    called = Called([unavailable()], ["Hel", unavailable("cut_stream")], answers("Hello"))
    with pytest.raises(ModelUnavailable):
        await called()
    assert len(called.model.requests) == 2


async def test_cancelling_ends_the_retries() -> None:
    called = Called([unavailable(retry_after=5)], answers("Hello"))
    task = asyncio.create_task(called())
    await called.model.opened.wait()
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(called.model.requests) == 1


async def test_a_deadline_of_the_caller_holds_for_the_retries() -> None:
    called = Called([unavailable(retry_after=5)], answers("Hello"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await called()
    with pytest.raises(ModelUnavailable):
        await Called([unavailable(retry_after=5)], answers("Hello"))(asyncio.get_running_loop().time() + 2)


class Gates:
    """All three gates; each writes down what it is told, and refuses when it is told to."""

    def __init__(self, refusals: Sequence[AppError] = ()) -> None:
        self.told: list[str] = []
        self.refusals = list(refusals)
        self.seconds = 0.0

    def check(self) -> None:
        self.told.append("check")
        if self.refusals:
            raise self.refusals.pop()

    def rest(self, seconds: float | None, reason: str = "rate_limited") -> None:
        self.told.append(f"rest {seconds} {reason}")

    def answered(self) -> None:
        self.told.append("answered")

    def state(self) -> tuple[object, float] | None:
        return ("rate_limited", self.seconds) if self.seconds else None

    def put_before(self, model: ResilientModel) -> None:
        model.resting = cast(Any, self)
        model.breaker = cast(Any, _Breaker(self.told))
        model.bulkhead = cast(Any, _Bulkhead(self.told))


class _Breaker:
    def __init__(self, told: list[str]) -> None:
        self._told = told

    def check(self) -> None:
        self._told.append("closed")

    def enter(self) -> "_Breaker":
        self._told.append("enter")
        return self

    def good(self) -> None:
        self._told.append("good")

    def bad(self) -> None:
        self._told.append("bad")

    def leave(self) -> None:
        self._told.append("leave")

    async def probe(self) -> None:
        self._told.append("probe")

    async def aclose(self) -> None:
        self._told.append("close")


class _Bulkhead:
    def __init__(self, told: list[str]) -> None:
        self._told = told
        self.refusal: AppError | None = None

    async def enter(self, ends_at: float = 0.0) -> None:
        if self.refusal:
            raise self.refusal
        self._told.append("place")

    def leave(self) -> None:
        self._told.append("free")


async def test_a_call_passes_the_gates_in_their_order() -> None:
    gates, called = Gates(), Called(answers("Hello"))
    gates.put_before(called.resilient)
    await called()
    assert gates.told == ["check", "closed", "place", "check", "enter", "good", "answered", "good", "leave", "free"]


async def test_the_breaker_hears_of_a_cut_after_the_first_content() -> None:
    gates, called = Gates(), Called(["Hel", unavailable("cut_stream")])
    gates.put_before(called.resilient)
    with pytest.raises(ModelUnavailable):
        await called()
    assert gates.told[4:] == ["enter", "good", "bad", "leave", "free"]


async def test_a_retry_passes_the_gates_again() -> None:
    gates, called = Gates(), Called([unavailable()], answers("Hello"))
    gates.put_before(called.resilient)
    await called()
    assert gates.told == [
        *("check", "closed", "place", "check", "enter", "bad", "leave", "free"),
        *("check", "closed", "place", "check", "enter", "good", "answered", "good", "leave", "free"),
    ]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ModelRateLimited("", reason="rate_limited"), "rest None rate_limited"),
        (ModelRateLimited("", reason="rate_limited", retry_after=3), "rest 3 rate_limited"),
        (unavailable("overloaded", 4), "rest 4 overloaded"),
        (unavailable("shared_overload", 4), "rest 4 overloaded"),
        (unavailable("overloaded"), None),
        (unavailable("server_error", 4), None),
        (unavailable("bad_request"), None),
    ],
)
async def test_a_provider_that_asks_for_it_is_left_alone(error: AppError, told: str | None) -> None:
    gates, called = Gates(), Called([error], retries=0)
    gates.put_before(called.resilient)
    with pytest.raises(type(error)):
        await called()
    assert [one for one in gates.told if one.startswith("rest")] == ([told] if told else [])


@pytest.mark.parametrize("reason", ["bad_request", "rate_limited", "context_too_long"])
async def test_what_is_not_the_models_failure_is_no_verdict_for_the_breaker(reason: str) -> None:
    gates, called = Gates(), Called([unavailable(reason)], retries=0)
    gates.put_before(called.resilient)
    with pytest.raises(ModelUnavailable):
        await called()
    assert gates.told[3:] == ["check", "enter", "leave", "free"]


async def test_a_call_that_is_refused_is_no_attempt() -> None:
    gates = Gates([unavailable("resting", 3)])
    called = Called(answers("Hello"))
    gates.put_before(called.resilient)
    with pytest.raises(ModelUnavailable) as caught:
        await called()
    assert (caught.value.reason, gates.told, called.model.requests, called.attempts) == ("resting", ["check"], [], [])


async def test_a_call_without_a_place_does_not_enter_the_breaker() -> None:
    gates, called = Gates(), Called(answers("Hello"))
    gates.put_before(called.resilient)
    bulkhead = _Bulkhead(gates.told)
    bulkhead.refusal = unavailable("busy", 1)
    called.resilient.bulkhead = cast(Any, bulkhead)
    with pytest.raises(ModelUnavailable):
        await called()
    assert gates.told == ["check", "closed"]


async def test_a_caller_who_leaves_gives_all_places_back() -> None:
    gates, called = Gates(), Called([asyncio.Event()])
    gates.put_before(called.resilient)
    task = asyncio.create_task(called())
    await called.model.opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gates.told == ["check", "closed", "place", "check", "enter", "leave", "free"]


async def test_a_retry_waits_until_the_model_has_rested() -> None:
    gates, called = Gates(), Called([ModelRateLimited("", reason="rate_limited")], answers("Hello"))
    gates.put_before(called.resilient)
    gates.seconds = 0.2
    started = asyncio.get_running_loop().time()
    await called()
    assert asyncio.get_running_loop().time() - started >= 0.19


async def test_a_probe_is_the_breakers() -> None:
    gates, called = Gates(), Called(answers("Hello"))
    gates.put_before(called.resilient)
    await called.resilient.probe()
    await called.resilient.aclose()
    assert gates.told == ["probe", "close"]
    assert called.model.closed

"""The exact cache in a run: what is given again, what is not, and what it costs."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY

from app.agents.definition import UNCACHED, Caching
from app.errors import ModelUnavailable
from app.messages import AssistantMessage, ToolCall, Usage, UserMessage
from app.runs.events import Answer, Event, RunFailed, RunFinished, RunStarted, Token
from app.telemetry.context import current
from app.tools import tool
from tests.doubles import ADA, CHEAP, AbsentStore, ScriptedModel, answers, asks_for
from tests.logged import capture_logs
from tests.stage import Stage
from tests.telemetry.recorded import traced_to

CACHED: Mapping[str, Any] = {"answer_cache": True}
pytestmark = pytest.mark.usefixtures("written")

DOWN = ModelUnavailable("Away.", reason="unreachable", retry_after=7)


@tool(pure=True)
async def double(number: int) -> int:
    """Twice the number."""
    if number < 0:
        raise ValueError("negative")
    return 2 * number


@tool
async def today() -> str:
    """The day."""
    return "Monday"


def lookups() -> dict[str, float]:
    results = ("hit", "joined", "miss", "bypass", "stale", "error")
    return {
        result: count
        for result in results
        if (count := REGISTRY.get_sample_value("agent_cache_lookups_total", {"result": result}) or 0)
    }


def answer_of(events: list[Event]) -> Answer:
    last = events[-1]
    assert isinstance(last, RunFinished), last
    return last.answer


class Counted:
    """The look-ups within a block, by their results."""

    def __enter__(self) -> dict[str, float]:
        self._before = lookups()
        self.counts: dict[str, float] = {}
        return self.counts

    def __exit__(self, *_: object) -> None:
        now = lookups()
        self.counts.update({name: now[name] - self._before.get(name, 0) for name in now})
        for name in [name for name, count in self.counts.items() if not count]:
            del self.counts[name]


async def calls_of(stage: Stage, *asked: dict[str, Any]) -> int:
    """How often the model is called for these requests, one after the other."""
    for request in asked:
        await stage.answer(**request)
        await stage.answers.aclose()
    return len(stage.model.requests)


async def test_an_equal_request_is_given_the_same_answer_for_nothing() -> None:
    stage = Stage(ScriptedModel(answers("forty", "-two"), answers("other")), **CACHED)
    with Counted() as counts:
        first = await stage.answer("6 * 7?", session_id="a")
        events = await stage.events("6 * 7?", session_id="b", stream=True)
    assert [type(event) for event in events] == [RunStarted, Token, RunFinished]
    second = answer_of(events)
    assert (first.answer, first.cached, first.age_seconds) == ("forty-two", False, None)
    assert (second.answer, second.cached, second.finish_reason) == ("forty-two", True, "stop")
    assert second.age_seconds is not None
    assert 0 <= second.age_seconds < 60
    assert (second.usage, second.tokens_used, second.cost_usd) == (Usage(), 0, 0)
    assert (second.model, second.iterations, second.degraded) == ("double/scripted", 0, ())
    assert second.message_id != first.message_id
    [turn] = await stage.remembered("b")
    assert turn.messages == (UserMessage("6 * 7?"), AssistantMessage("forty-two"))
    assert counts == {"hit": 1, "miss": 1}


async def test_the_log_and_the_span_say_that_an_answer_was_cached() -> None:
    spans = InMemorySpanExporter()
    current.set(traced_to(spans))
    stage = Stage(ScriptedModel(answers("42")), **CACHED)
    with capture_logs() as logs:
        await calls_of(stage, {}, {})
    ends = [line for line in logs if line["event"] == "agent.request.success"]
    assert [line["cached"] for line in ends] == [False, True]
    assert ends[1]["cached"] is True
    assert 0 <= ends[1]["age_seconds"] < 60
    told = [dict(span.attributes or {}) for span in spans.get_finished_spans() if span.name.startswith("invoke_agent")]
    assert [attributes["agent.cached"] for attributes in told] == [False, True]
    assert "agent.cache.age_seconds" not in told[0]
    assert told[1]["agent.cache.age_seconds"] == ends[1]["age_seconds"]


async def test_it_is_off_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(ScriptedModel(answers("42")), agents={"cached": {"cache": Caching(enabled=True)}})
    monkeypatch.setattr("app.runs.pipeline.cache", None)
    with Counted() as counts:
        assert await calls_of(stage, {}, {}) == 2
    assert counts == {}
    monkeypatch.undo()
    assert await calls_of(stage, {"agent": "cached"}, {"agent": "cached"}) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"message": "Hello!"},
        {"model": "b"},
        {"temperature": 0.5},
        {"max_tokens": 7},
        {"max_iterations": 3},
        {"max_cost_usd": 0.01},
        {"tools": ("double",)},
        {"tools": ()},
        {"response_format": {"type": "object"}},
        {"system": "Be long."},
        {"agent": "mute"},
        {"agent": "twin"},
        {"history": (UserMessage("Hi"), AssistantMessage("Yes?"))},
        {"principal": ADA.__class__("bob", scopes=ADA.scopes, authenticated=True)},
        {"principal": ADA.__class__("ada", scopes=frozenset({"chat", "tools:today"}), authenticated=True)},
        {"principal": ADA.__class__("ada", scopes=ADA.scopes, authenticated=False)},
    ],
)
async def test_whatever_shapes_the_answer_makes_another_request(other: dict[str, Any]) -> None:
    twin: dict[str, Any] = {"allows": frozenset({"system", "temperature", "max_tokens", "response_format"})}
    stage = Stage(
        ScriptedModel(answers("42")),
        ScriptedModel(answers("b"), name="b"),
        tools=[double, today],
        agents={"twin": twin | {"system_prompt": "Be brief."}, "free": twin},
        **CACHED,
    )
    base: dict[str, Any] = {"agent": "free"}
    await calls_of(stage, base)
    answer = await stage.answer(**(base | other))
    assert not answer.cached
    assert (await stage.answer(**base)).cached


@pytest.mark.parametrize("same", [{"stream": True}, {"session_id": "new"}, {"suggestions": True}, {"history": ()}])
async def test_what_does_not_shape_it_makes_none(same: dict[str, Any]) -> None:
    stage = Stage(ScriptedModel(answers("42")), **CACHED)
    assert await calls_of(stage, {}, same) == 1


async def test_another_version_of_an_agent_answers_anew() -> None:
    stage = Stage(ScriptedModel(answers("42")), agents={"a": {"system_prompt": "One."}}, **CACHED)
    later = Stage(ScriptedModel(answers("43")), store=stage.store, agents={"a": {"system_prompt": "Two."}}, **CACHED)
    await calls_of(stage, {"agent": "a"})
    assert (await later.answer(agent="a")).answer == "43"


async def test_other_models_parameters_or_servers_answer_anew() -> None:
    stage = Stage(ScriptedModel(answers("42")), **CACHED)
    await calls_of(stage, {})
    others: list[dict[str, Any]] = [
        {"openai_base_url": "http://other/v1"},
        {"model_options": '{"demo": {"tools": false}}'},
    ]
    for settings in others:
        later = Stage(ScriptedModel(answers("43")), store=stage.store, **CACHED, **settings)
        assert (await later.answer()).answer == "43"


async def test_a_session_with_another_past_answers_anew_and_the_same_past_does_not() -> None:
    stage = Stage(ScriptedModel(answers("one"), answers("two"), answers("three")), **CACHED)
    for session in "ab":
        await calls_of(stage, {"session_id": session}, {"session_id": session})
    assert [turn.messages[-1].content for turn in await stage.remembered("b")] == ["one", "two"]
    assert len(stage.model.requests) == 2
    assert (await stage.answer("Hello", session_id="c")).answer == "one"


@pytest.mark.parametrize(
    ("scripts", "kept"),
    [
        ([asks_for(ToolCall("1", "double", {"number": 4})), answers("8")], True),
        ([asks_for(ToolCall("1", "double", {"number": -4})), answers("negative")], False),
        ([asks_for(ToolCall("1", "today", {})), answers("Monday")], False),
        ([asks_for(ToolCall("1", "double", {"number": 4}), ToolCall("2", "today", {})), answers("8")], False),
        ([asks_for(ToolCall("1", "nobody", {})), answers("8")], False),
        ([answers("cut", reason="max_tokens")], False),
        ([answers("I cannot", reason="refusal")], False),
    ],
)
async def test_only_whole_answers_made_with_pure_tools_are_kept(scripts: list[Any], kept: bool) -> None:
    stage = Stage(ScriptedModel(*scripts, *scripts), tools=[double, today], **CACHED)
    first = await stage.answer()
    second = await stage.answer()
    assert (first.cached, second.cached) == (False, kept)
    assert second.tool_calls == () or not kept


@pytest.mark.parametrize(
    ("control", "calls", "counted"),
    [("no-store", [2, 2], {"bypass": 1, "hit": 1}), ("no-cache", [2, 2], {"bypass": 1, "hit": 1})],
)
async def test_a_request_may_go_past_the_cache(control: Any, calls: list[int], counted: dict[str, float]) -> None:
    stage = Stage(ScriptedModel(answers("old"), answers("new")), **CACHED)
    await calls_of(stage, {})
    with Counted() as counts:
        assert (await stage.answer(cache_control=control)).answer == "new"
        last = await stage.answer()
    assert last.answer == ("old" if control == "no-store" else "new")
    assert last.cached
    assert len(stage.model.requests) == calls[-1]
    assert counts == counted


async def test_a_caller_who_may_not_use_the_tools_of_a_public_answer_is_not_given_it() -> None:
    public = {"open": {"cache": Caching(enabled=True, public=True)}}
    stage = Stage(
        ScriptedModel(asks_for(ToolCall("1", "double", {"number": 4})), answers("8")), tools=[double], agents=public
    )
    await calls_of(stage, {"agent": "open"})
    bob = ADA.__class__("bob", scopes=frozenset({"chat"}), authenticated=True)
    assert not (await stage.answer(agent="open", principal=bob)).cached
    carol = ADA.__class__("carol", scopes=frozenset({"chat", "tools:double"}), authenticated=True)
    assert (await stage.answer(agent="open", principal=carol)).cached


async def test_users_share_what_a_public_agent_says_without_a_history_or_with_the_same() -> None:
    public = {"open": {"cache": Caching(enabled=True, public=True)}}
    stage = Stage(ScriptedModel(answers("one"), answers("secret"), answers("mine")), agents=public)
    bob = ADA.__class__("bob", scopes=ADA.scopes, authenticated=True)
    assert await calls_of(stage, {"agent": "open"}, {"agent": "open", "principal": bob}) == 1
    told = {"agent": "open", "session_id": "s"}
    await calls_of(stage, {**told, "message": "I am Ada"}, {**told, "message": "Who am I?"})
    answer = await stage.answer("Who am I?", principal=bob, agent="open")
    assert (answer.cached, answer.answer) == (False, "mine")


async def test_of_equal_requests_at_the_same_time_one_calls_the_model() -> None:
    go = asyncio.Event()
    stage = Stage(ScriptedModel(["4", go, *answers("2")]), **CACHED)
    with Counted() as counts:
        asked = [asyncio.create_task(stage.answer(stream=number % 2 == 0)) for number in range(20)]
        await asyncio.sleep(0.1)
        go.set()
        told = await asyncio.gather(*asked)
    assert {answer.answer for answer in told} == {"42"}
    assert sum(answer.cached for answer in told) == 19
    assert sum(answer.usage.total for answer in told) == 15
    assert len(stage.model.requests) == 1
    assert counts == {"miss": 1, "joined": 19}


async def test_a_refused_admission_gives_its_place_back() -> None:
    stage = Stage(ScriptedModel(answers("42")), **CACHED, limits='{"tiers": {"default": {"user": {"per_minute": 1}}}}')
    await stage.answer("one")
    refused = await stage.events("two")
    assert isinstance(refused[-1], RunFailed)
    await stage.answers.aclose()
    assert await stage.store.call("KEYS", "answering*") == []


async def test_waiting_ends_with_the_runs_own_deadline() -> None:
    stage = Stage(ScriptedModel([asyncio.Event()]), agents={"hasty": {"timeout_seconds": 0.3}}, **CACHED)
    asked = [asyncio.create_task(stage.events(agent="hasty")) for _ in range(2)]
    for events in await asyncio.wait_for(asyncio.gather(*asked), 5):
        last = events[-1]
        assert isinstance(last, RunFailed)
        assert last.error.slug == "deadline-exceeded"


async def test_without_the_store_runs_go_on() -> None:
    stage = Stage(ScriptedModel(answers("42")), store=AbsentStore(), **CACHED)
    with Counted() as counts:
        assert (await stage.answer()).answer == "42"
        assert (await stage.answer()).cached is False
    assert sum(counts.values()) == 2
    assert counts.keys() <= {"error", "bypass"}


class TestStaleIfError:
    """With STALE_IF_ERROR_SECONDS: an answer that is too old is better than none."""

    SETTINGS: ClassVar[Mapping[str, Any]] = {**CACHED, "answer_cache_ttl_seconds": 0.1, "stale_if_error_seconds": 60}

    @pytest.mark.parametrize("stream", [True, False])
    async def test_it_is_given_and_marked_when_no_model_can_answer(self, stream: bool) -> None:
        stage = Stage(ScriptedModel(answers("42"), [DOWN]), **self.SETTINGS)
        await calls_of(stage, {})
        await asyncio.sleep(0.15)
        with Counted() as counts:
            events = await stage.events(stream=stream, session_id="s")
        assert [type(event) for event in events] == [RunStarted, Token, RunFinished]
        answer = answer_of(events)
        assert (answer.answer, answer.cached, answer.degraded) == ("42", True, ("stale",))
        assert answer.age_seconds is not None
        assert answer.age_seconds > 0.1
        assert counts == {"miss": 1, "stale": 1}
        assert len(await stage.remembered()) == 1

    @pytest.mark.parametrize(
        ("request_", "scripts"),
        [
            ({"message": "Unknown"}, [[DOWN]]),
            ({"stream": True}, [["4", DOWN]]),
            ({"cache_control": "no-cache"}, [[DOWN]]),
            ({"cache_control": "no-store"}, [[DOWN]]),
        ],
    )
    async def test_else_the_error_is_as_it_was(self, request_: dict[str, Any], scripts: list[Any]) -> None:
        stage = Stage(ScriptedModel(answers("42"), *scripts), **self.SETTINGS)
        await calls_of(stage, {})
        await asyncio.sleep(0.15)
        last = (await stage.events(**request_))[-1]
        assert isinstance(last, RunFailed)
        assert (last.error.status, last.error.retry_after) == (503, 7)

    async def test_it_is_given_when_a_budget_does_not_cover_the_next_model(self) -> None:
        budget: dict[str, Any] = {"budget_user_day_usd": 1e-9, "prices": {"double/b": CHEAP}}
        primary = ScriptedModel(answers("42"), [DOWN])
        stage = Stage(primary, ScriptedModel(answers("43"), name="b"), **self.SETTINGS, **budget)
        await calls_of(stage, {})
        await asyncio.sleep(0.15)
        assert (await stage.answer()).degraded == ("stale",)
        refused = (await stage.events("Unknown"))[-1]
        assert isinstance(refused, RunFailed)
        assert refused.error.slug == "budget-exceeded"

    async def test_it_is_not_given_to_who_has_no_budget(self) -> None:
        settings: dict[str, Any] = {**self.SETTINGS, "budget_user_day_usd": 1e-9, "price": CHEAP}
        rich = Stage(ScriptedModel(answers("42")), **self.SETTINGS)
        poor = Stage(ScriptedModel(answers("43")), store=rich.store, **settings)
        await calls_of(rich, {})
        await asyncio.sleep(0.15)
        refused = (await poor.events())[-1]
        assert isinstance(refused, RunFailed)
        assert refused.error.slug == "budget-exceeded"

    async def test_without_the_setting_there_is_none(self) -> None:
        stage = Stage(ScriptedModel(answers("42"), [DOWN]), **{**self.SETTINGS, "stale_if_error_seconds": 0})
        await calls_of(stage, {})
        await asyncio.sleep(0.15)
        assert isinstance((await stage.events())[-1], RunFailed)


def test_an_agent_says_nothing_of_it_by_default() -> None:
    assert Caching(enabled=False, public=False) == UNCACHED

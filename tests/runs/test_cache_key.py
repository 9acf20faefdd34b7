"""The key of a cached answer: equal for runs that nothing tells apart, another for whatever shapes the answer."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.access.principal import Principal
from app.messages import AssistantMessage, UserMessage
from app.runs.cache_key import key_of
from app.runs.context import RunContext
from app.runs.handle import RunHandle
from app.runs.request import RunRequest
from app.tools import tool
from tests.doubles import ADA, ScriptedModel, answers
from tests.stage import Stage


@tool(pure=True)
async def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@tool(pure=True)
async def half(number: int) -> float:
    """Half the number."""
    return number / 2


TURN = st.tuples(st.builds(UserMessage, st.text(max_size=9)), st.builds(AssistantMessage, st.text(max_size=9)))
SHAPING: Mapping[str, st.SearchStrategy[Any]] = {
    "message": st.text(min_size=1, max_size=20),
    "history": st.lists(TURN, max_size=3).map(lambda turns: tuple(message for turn in turns for message in turn)),
    "system": st.none() | st.text(max_size=20),
    "agent": st.sampled_from(["a", "b"]),
    "model": st.sampled_from([None, "scripted", "other"]),
    "tools": st.sampled_from([None, (), ("double",), ("half",)]),
    "temperature": st.none() | st.integers(1, 20).map(lambda tenths: tenths / 10),
    "response_format": st.none() | st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=3),
    "max_tokens": st.none() | st.integers(1, 100),
    "max_iterations": st.none() | st.integers(1, 3),
    "max_cost_usd": st.none() | st.sampled_from([0.001, 0.002]),
    "user": st.text(min_size=1, max_size=9),
    "authenticated": st.booleans(),
    "address": st.sampled_from(["10.0.0.1", "10.0.0.2"]),
}
RUNS = st.fixed_dictionaries(dict(SHAPING))


async def key(run: Mapping[str, Any]) -> str:
    """Of a run of a process of its own."""
    fields = deepcopy(dict(run))
    caller = {name: fields.pop(name) for name in ("user", "authenticated", "address")}
    keys: list[str] = []

    async def pipeline(begun: RunContext, _: RunHandle) -> None:
        memory, costs = begun.memory, begun.costs
        memory.take(begun.request.history or (), begun.model, costs.system_prompt, costs.beside_tokens)
        keys.append(key_of(begun))

    agent: dict[str, Any] = {
        "system_prompt": "Be brief.",
        "allows": frozenset({"system", "temperature", "max_tokens", "response_format"}),
    }
    stage = Stage(
        ScriptedModel(answers("42")),
        ScriptedModel(answers("43"), name="other"),
        tools=[double, half],
        agents={"a": agent, "b": agent},
        pipeline=pipeline,
        answer_cache=True,
    )
    principal = Principal(scopes=ADA.scopes, **caller)
    await stage.runner.start(principal, RunRequest(**fields)).complete()
    return keys[0]


@settings(deadline=None)
@given(RUNS)
async def test_equal_runs_have_equal_keys(run: Mapping[str, Any]) -> None:
    assert await key(run) == await key(run)


@settings(deadline=None)
@given(RUNS, st.sampled_from(sorted(SHAPING)), st.data())
async def test_runs_that_differ_in_one_field_have_different_keys(
    run: Mapping[str, Any], field: str, data: st.DataObject
) -> None:
    value = data.draw(SHAPING[field].filter(lambda value: value != run[field]), label=field)
    assert await key(run) != await key({**run, field: value})


@settings(deadline=None)
@given(RUNS, RUNS)
async def test_no_two_runs_share_a_key_by_what_one_field_lends_another(
    run: Mapping[str, Any], other: Mapping[str, Any]
) -> None:
    assert (await key(run) == await key(other)) == (run == other)

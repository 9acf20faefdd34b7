"""Every surface of a run: a secret of each format goes in, cut in two at every place or one character a chunk, and no
piece of eight characters comes out."""

import dataclasses
from typing import Any

import msgspec
import pytest

from app.agents.definition import Caching
from app.errors import ModelError, ModelRateLimited, ModelUnavailable
from app.messages import Extras, ToolCall
from app.models.protocol import Completion
from app.runs.events import Event, Reasoning, RunFailed, Token, ToolFinished, ToolStarted
from app.tools import Tool, ToolError, tool
from tests.doubles import USAGE, Script, ScriptedModel, Step, answers, asks_for
from tests.redaction.carried import CARRIED, as_json, each_character, leaks, split_at, splits, values, whole
from tests.redaction.redactors import default_redactor
from tests.stage import Stage

_LONG = 200_000


@tool(effect="read", max_output_chars=_LONG)
async def vault() -> dict[str, str]:
    """What is in the vault."""
    return values()


@tool(effect="read", max_output_chars=_LONG)
async def note() -> str:
    """A note."""
    return whole()


@tool(effect="read")
async def broken(place: int) -> str:
    """It breaks."""
    raise ToolError(f"cannot use {CARRIED[place].text} here")


@tool(effect="read")
async def send(text: dict[str, str]) -> str:
    """Send texts."""
    return "sent"


def _stage(*scripts: Script, tools: tuple[Tool, ...] = (), **more: Any) -> Stage:
    return Stage(ScriptedModel(*scripts), tools=tools, redactor=default_redactor(), **more)


def _clean(*values: object) -> bool:
    assert leaks("\n".join(msgspec.json.encode(value, enc_hook=str).decode() for value in values)) == []
    return True


def _said(events: list[Event], kind: type[Token | Reasoning] = Token) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def test_at_least_400_secrets_are_carried_and_each_is_missed_where_it_is_shown() -> None:
    assert len(CARRIED) >= 400
    assert [one for one in CARRIED if not leaks(one.secret)] == []
    assert [one for one in CARRIED if not leaks(msgspec.json.encode([one.text]).decode())] == []
    assert leaks(default_redactor().text(whole())) == []


async def test_text_in_two_pieces_cut_at_every_place_of_every_secret() -> None:
    scripts = list(splits())
    stage = _stage(*(answers(*pieces) for pieces in scripts))
    for number, pieces in enumerate(scripts):
        events = await stage.events(stream=True)
        assert _clean(events)
        assert number % 16 or _said(events) == default_redactor().text("".join(pieces))


async def test_reasoning_in_two_pieces_cut_at_every_place_of_every_other_secret() -> None:
    scripts = list(splits(CARRIED[::2]))
    stage = _stage(*([*(("reasoning", piece) for piece in pieces), *answers("Done.")] for pieces in scripts))
    for number, pieces in enumerate(scripts):
        events = await stage.events(stream=True)
        assert _clean(events)
        assert number % 16 or _said(events, Reasoning) == default_redactor().text("".join(pieces))


async def test_text_and_reasoning_one_character_a_chunk_and_what_a_session_keeps_of_them() -> None:
    thought: list[Step] = [("reasoning", piece) for piece in each_character()]
    extras = Extras("double/scripted", {"thinking": whole()})
    stage = _stage([*thought, *each_character(), Completion("stop", USAGE, extras=extras)], answers("And so?"))
    events = await stage.events(whole(), session_id="s", stream=True)
    assert _clean(events)
    assert _said(events) == _said(events, Reasoning) == default_redactor().text(whole())
    assert _clean(await stage.remembered())
    await stage.answer("Go on", session_id="s")
    assert _clean(stage.model.requests[1].messages)


@pytest.mark.parametrize("place", [3, 8, 12, 30])
async def test_an_answer_that_is_cut_within_a_secret(place: int) -> None:
    """Its beginning stays away as well: of as many secrets as can be cut so, each as the last of a text."""
    ends = [one for one in CARRIED if len(one.secret) > place][place % 5 :: 5]
    scripts: list[Script] = [
        [f"See {one.before}{one.secret[:place]}", ModelUnavailable("gone", reason="cut")] for one in ends
    ]
    stage = _stage(*scripts, model_retries=0)
    for _ in ends:
        events = await stage.events(stream=True)
        assert isinstance(events[-1], RunFailed)
        assert _clean(events)


async def test_results_of_tools_as_values_and_as_text() -> None:
    calls = [ToolCall("1", "vault", {}), ToolCall("2", "note", {})]
    stage = _stage(asks_for(*calls), answers("Done."), tools=(vault, note))
    events = await stage.events(session_id="s", stream=True)
    results = [event.result for event in events if isinstance(event, ToolFinished)]
    assert all(result and "[redacted: " in result for result in results)
    assert _clean(events, stage.model.requests[1].messages, await stage.remembered())


async def test_errors_of_tools() -> None:
    for at in range(0, len(CARRIED), 20):
        places = range(at, min(at + 20, len(CARRIED)))
        calls = [ToolCall(str(place), "broken", {"place": place}) for place in places]
        stage = _stage(asks_for(*calls), answers("Done."), tools=(broken,))
        events = await stage.events(session_id="s", stream=True)
        assert len([event for event in events if isinstance(event, ToolFinished)]) == len(places)
        assert _clean(events, stage.model.requests[1].messages, await stage.remembered())


@pytest.mark.parametrize("trusted", [False, True])
async def test_arguments_of_calls(trusted: bool) -> None:
    tools = (dataclasses.replace(send, secrets=trusted),)
    stage = _stage(asks_for(ToolCall("1", "send", {"text": values()})), answers("Done."), tools=tools)
    events = await stage.events(session_id="s", stream=True)
    [started] = [event for event in events if isinstance(event, ToolStarted)]
    [finished] = [event for event in events if isinstance(event, ToolFinished)]
    assert str(started.arguments).count("[redacted: ") > 400
    assert finished.status == ("ok" if trusted else "error")
    assert _clean(events, await stage.remembered())
    assert trusted or _clean(stage.model.requests[1].messages)


async def test_arguments_that_are_no_json() -> None:
    stage = _stage(asks_for(ToolCall("1", "send", {}, malformed=as_json()[:-1])), answers("Done."), tools=(send,))
    events = await stage.events(session_id="s", stream=True)
    assert _clean(events, stage.model.requests[1].messages, await stage.remembered())


@pytest.mark.parametrize("kind", [ModelUnavailable, ModelRateLimited])
async def test_words_of_a_providers_error(kind: type[ModelError]) -> None:
    stage = _stage([kind(whole(), reason="overloaded")], model_retries=0)
    failed = (await stage.events(stream=True))[-1]
    assert isinstance(failed, RunFailed)
    assert failed.error.detail.count("[redacted: ") > 400
    assert leaks(f"{failed.error.detail}") == []


async def test_cached_answers() -> None:
    stage = _stage(answers(*split_at(9)), agents={"faq": {"cache": Caching(enabled=True)}})
    first = await stage.answer("Hello?", agent="faq")
    second = await stage.answer("Hello?", agent="faq")
    assert second.cached
    assert _clean(first, second)

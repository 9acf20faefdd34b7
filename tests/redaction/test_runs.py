"""Runs: no secret leaves one, by whatever way."""

import asyncio
from typing import Any

import msgspec
import pytest

from app.agents.definition import Caching
from app.errors import ModelUnavailable
from app.messages import Extras, ToolCall
from app.models.protocol import Completion
from app.runs.events import Answer, Event, Reasoning, RunFailed, RunFinished, Token, ToolFinished, ToolStarted
from app.tools import Tool, ToolError, tool
from app.tools.context import ToolContext
from tests.doubles import USAGE, ScriptedModel, answers, asks_for
from tests.redaction.redactors import default_redactor
from tests.stage import Stage

CARD = "4111 1111 1111 1111"
KEY = "k3y-9f8e7d6c5b4a3210"
PROMPT = "You sell widgets for Acme. Under no circumstances tell anyone that the floor price is nine dollars fifty."


@tool(effect="read")
async def vault(context: ToolContext) -> dict[str, str]:
    """What is in the vault."""
    context.sources.append(f"https://app:{KEY}@host.example/vault")
    return {"api_key": KEY, "card": CARD, "city": "Paris"}


@tool(effect="read")
async def broken() -> str:
    """It breaks."""
    raise ToolError(f"cannot log in with password: {KEY}")


@tool(effect="read")
async def send(text: str) -> str:
    """Send a text."""
    sent.append(text)
    return "sent"


sent: list[str] = []


def _stage(*scripts: Any, tools: tuple[Tool, ...] = (), **more: Any) -> Stage:
    return Stage(ScriptedModel(*scripts), tools=tools, redactor=default_redactor(), **more)


def _clean(whole: object) -> bool:
    text = msgspec.json.encode(whole, enc_hook=str).decode()
    return not any(secret[at : at + 8] in text for secret in (CARD, KEY) for at in range(len(secret) - 7))


def _said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


async def test_a_streamed_answer_is_clean_one_character_a_piece_and_so_is_what_is_kept_of_it() -> None:
    text = f"Your card is {CARD}, the password: {KEY} ok"
    stage = _stage(answers(*text))
    events = await stage.events(f"my card {CARD}", session_id="s", stream=True)
    assert _said(events) == "Your card is [redacted: card], the password: [redacted: secret] ok"
    finished = events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.answer.answer == _said(events)
    kept = await stage.remembered()
    assert _clean(kept)
    assert [message.content for message in kept[0].messages] == ["my card [redacted: card]", finished.answer.answer]


async def test_a_model_is_asked_to_tell_text_together_where_each_piece_is_looked_at() -> None:
    looked, plain = _stage(answers("Fine.")), Stage(ScriptedModel(answers("Fine.")))
    for stage in (looked, plain):
        await stage.events(stream=True)
    assert [stage.model.requests[0].together for stage in (looked, plain)] == [True, False]


async def test_the_model_reads_what_the_user_wrote_now_and_not_what_was_kept() -> None:
    stage = _stage(answers("Fine."))
    await stage.answer(f"my card {CARD}", session_id="s")
    await stage.answer("And now?", session_id="s")
    assert stage.model.requests[0].messages[-1].content == f"my card {CARD}"
    assert _clean(stage.model.requests[1].messages)


async def test_a_plain_answer_is_clean() -> None:
    assert (await _stage(answers(f"It is {CARD}.")).answer()).answer == "It is [redacted: card]."


async def test_reasoning_is_clean_and_so_is_what_the_provider_is_to_be_given_back() -> None:
    thought = [("reasoning", piece) for piece in f"The card {CARD} is fine. "]
    extras = Extras("double/scripted", {"thinking": f"The card {CARD} is fine."})
    stage = _stage([*thought, "Hello", Completion("stop", USAGE, extras=extras)])
    events = await stage.events(session_id="s", stream=True)
    assert "".join(e.text for e in events if isinstance(e, Reasoning)) == "The card [redacted: card] is fine. "
    assert _clean(await stage.remembered())


async def test_a_tools_result_is_clean_for_readers_and_for_the_model() -> None:
    stage = _stage(asks_for(ToolCall("1", "vault", {})), answers("Done."), tools=(vault,))
    events = await stage.events(session_id="s", stream=True)
    assert _clean(events)
    assert _clean(stage.model.requests[1].messages)
    [finished] = [event for event in events if isinstance(event, ToolFinished)]
    assert "Paris" in (finished.result or "")
    assert _clean(await stage.remembered())


async def test_a_tools_error_is_clean_for_readers_and_for_the_model() -> None:
    stage = _stage(asks_for(ToolCall("1", "broken", {})), answers("Done."), tools=(broken,))
    events = await stage.events(stream=True)
    assert _clean(events)
    assert _clean(stage.model.requests[1].messages)


async def test_a_call_whose_arguments_hold_a_secret_is_not_made_and_the_model_reads_why() -> None:
    sent.clear()
    stage = _stage(asks_for(ToolCall("1", "send", {"text": f"card {CARD}"})), answers("Sorry."), tools=(send,))
    events = await stage.events(session_id="s", stream=True)
    assert sent == []
    assert _clean(events)
    assert _clean(stage.model.requests[1].messages)
    assert "held a secret" in stage.model.requests[1].messages[-1].content
    [started] = [event for event in events if isinstance(event, ToolStarted)]
    assert started.arguments == {"text": "card [redacted: card]"}
    answer = events[-1].answer  # type: ignore[union-attr]
    assert isinstance(answer, Answer)
    assert answer.tool_calls[0].status == "error"


async def test_a_tool_that_takes_secrets_gets_them_and_nobody_else_does() -> None:
    sent.clear()
    import dataclasses

    trusted = dataclasses.replace(send, secrets=True)
    stage = _stage(asks_for(ToolCall("1", "send", {"text": f"card {CARD}"})), answers("Sent."), tools=(trusted,))
    events = await stage.events(session_id="s", stream=True)
    assert sent == [f"card {CARD}"]
    assert _clean(events)
    assert _clean(await stage.remembered())


async def test_arguments_that_are_no_json_are_clean_too() -> None:
    call = ToolCall("1", "send", {}, malformed=f'{{"text": "{CARD}')
    stage = _stage(asks_for(call), answers("Sorry."), tools=(send,))
    assert _clean(await stage.events(session_id="s", stream=True))
    assert _clean(stage.model.requests[1].messages)
    assert _clean(await stage.remembered())


async def test_the_agents_system_prompt_does_not_leave() -> None:
    told = f"My instructions: {PROMPT} Really."
    stage = _stage(answers(*told), agents={"seller": {"system_prompt": PROMPT}})
    events = await stage.events(agent="seller", stream=True)
    assert "[redacted: system-prompt]" in _said(events)
    assert not any(PROMPT[at : at + 40] in _said(events) for at in range(len(PROMPT) - 39))


async def test_what_was_said_when_the_model_fails_is_clean_and_has_no_beginning_of_a_secret() -> None:
    stage = _stage([*f"Hello there, take {CARD[:-1]}", ModelUnavailable("gone", reason="server_error")])
    events = await stage.events(session_id="s", stream=True)
    assert isinstance(events[-1], RunFailed)
    assert _said(events) == "Hello there, take "
    assert (await stage.remembered())[0].messages[-1].content == "Hello there, take "


async def test_the_last_words_of_a_failed_answer_are_told_if_they_are_none() -> None:
    stage = _stage(["Hello ", "wor", ModelUnavailable("gone", reason="server_error")])
    assert _said(await stage.events(stream=True)) == "Hello wor"


async def test_another_model_that_goes_on_finds_no_way_around() -> None:
    first = ScriptedModel([*"The password: ", ModelUnavailable("gone", reason="cut_stream")], name="first")
    second = ScriptedModel(answers(KEY, " ok"), name="second")
    stage = Stage(first, second, redactor=default_redactor(), model_retries=0, stream_recovery="continue")
    events = await stage.events(stream=True)
    assert _clean(events)
    assert _said(events) == "The password: [redacted: secret] ok"


async def test_a_cached_answer_is_clean() -> None:
    stage = _stage(answers(*f"It is {CARD}."), agents={"faq": {"cache": _cache()}})
    first = await stage.answer("Hello?", agent="faq")
    second = await stage.answer("Hello?", agent="faq")
    assert second.cached
    assert first.answer == second.answer == "It is [redacted: card]."


def _cache() -> Any:
    return Caching(enabled=True)


async def test_words_of_an_error_are_clean() -> None:
    stage = _stage([ModelUnavailable(f"refused password: {KEY}", reason="server_error")])
    assert KEY not in (await stage.events())[-1].error.detail  # type: ignore[union-attr]


async def test_nothing_leaves_when_the_scanner_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = _stage(answers(*"Hello there, how are you?"))
    redactor = default_redactor()

    def broken_scan(*_: object) -> None:
        raise RuntimeError("out of scratch space")

    monkeypatch.setattr(redactor._scan._scanner, "candidates", broken_scan)
    events = await stage.events(session_id="s", stream=True)
    failed = events[-1]
    assert isinstance(failed, RunFailed)
    assert failed.error.slug == "guard-unavailable"
    assert _said(events) == ""
    assert await stage.remembered() == []


async def test_a_cancelled_run_keeps_no_beginning_of_a_secret() -> None:
    never = asyncio.Event()
    stage = _stage([*f"Take {CARD[:-1]}", never])
    from app.runs.request import RunRequest
    from tests.doubles import ADA

    async with stage.runner.start(ADA, RunRequest("Hello", session_id="s", stream=True)) as run:
        async for event in run:
            if isinstance(event, Token):
                break
    await stage.sessions.aclose()
    assert _clean(await stage.remembered())

"""Every surface of a run: a secret of each format goes in, cut in two at every place or one character a chunk, and no
piece of eight characters comes out."""

from typing import Any

import msgspec

from app.errors import ModelUnavailable
from app.messages import Extras, ToolCall
from app.models.protocol import Completion
from app.runs.events import Event, Reasoning, RunFailed, Token
from app.tools import Tool, ToolError, tool
from tests.doubles import USAGE, ScriptedModel, Script, answers, asks_for
from tests.redaction.carried import CARRIED, as_json, each_character, leaks, split_at, splits, values, whole
from tests.redaction.redactors import default_redactor
from tests.stage import Stage


@tool(effect="read")
async def vault() -> dict[str, str]:
    """What is in the vault."""
    return values()


@tool(effect="read")
async def note() -> str:
    """A note."""
    return whole()


@tool(effect="read")
async def broken() -> str:
    """It breaks."""
    raise ToolError(whole())


@tool(effect="read")
async def send(text: str) -> str:
    """Send a text."""
    return "sent"


def _stage(*scripts: Script, tools: tuple[Tool, ...] = (), **more: Any) -> Stage:
    return Stage(ScriptedModel(*scripts), tools=tools, redactor=default_redactor(), **more)


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _said(events: list[Event], kind: type[Token | Reasoning] = Token) -> str:
    return "".join(event.text for event in events if isinstance(event, kind))


def test_at_least_200_secrets_are_carried_and_the_marker_finds_each() -> None:
    assert len(CARRIED) >= 400
    assert [one for one in CARRIED if not leaks(one.secret)] == []
    assert leaks(default_redactor().text(whole())) == []


async def test_text_that_comes_in_two_pieces_cut_at_every_place() -> None:
    scripts = list(splits())
    stage = _stage(*(answers(*pieces) for pieces in scripts))
    for pieces in scripts:
        events = await stage.events(stream=True)
        assert leaks(_json(events)) == []
        assert _said(events) == default_redactor().text("".join(pieces))


async def test_reasoning_that_comes_in_two_pieces_cut_at_every_place() -> None:
    scripts = list(splits())
    stage = _stage(*([*(("reasoning", piece) for piece in pieces), *answers("Done.")] for pieces in scripts))
    for pieces in scripts:
        events = await stage.events(stream=True)
        assert leaks(_json(events)) == []
        assert _said(events, Reasoning) == default_redactor().text("".join(pieces))

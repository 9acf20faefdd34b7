"""What is put on record of runs, tools and limits, and that nothing has an effect that cannot be."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.access.principal import Principal
from app.audit.audit import Audit
from app.audit.entry import Entry
from app.errors import StateUnavailable
from app.messages import ToolCall
from app.redaction.engine import RuleRedactor
from app.runs.events import RunFinished, ToolFinished
from app.telemetry.redactions import redacted, redaction_failed
from app.telemetry.traces import Tracing
from app.tools import Tool, tool
from app.tools.call import call_tool
from app.tools.context import ToolContext
from app.tools.registry import Registry
from tests.doubles import ADA, ScriptedModel, answers, asks_for
from tests.redaction.redactors import rules
from tests.stage import Stage

SENT: list[str] = []


@tool
async def send(text: str) -> str:
    """Send a text."""
    SENT.append(text)
    if text == "fail":
        raise ValueError("a secret of the tool")
    if text == "wait":
        await asyncio.sleep(60)
    return f"sent {text}"


@tool(effect="read")
async def look(at: str) -> str:
    """Look at something."""
    SENT.append(at)
    return f"saw {at}"


TOOLS = Registry((send, look))


class Book:
    """An Audit whose store can be away."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.away = False

    async def write(self, entry: Entry) -> None:
        if self.away:
            raise StateUnavailable("away")
        self.entries.append(entry)

    def note(self, entry: Entry) -> None:
        self.entries.append(entry)

    def told(self) -> list[tuple[str, str, str]]:
        return [(entry.on, entry.decision, entry.why) for entry in self.entries]


@pytest.fixture
def book() -> Book:
    SENT.clear()
    return Book()


async def call(book: Audit, name: str, caller: Principal = ADA, **arguments: Any) -> Any:
    async def nothing() -> None: ...

    return await call_tool(
        TOOLS,
        ToolContext(caller, "run-1"),
        ToolCall("call-1", name, arguments),
        slot=lambda _: asyncio.timeout(None),
        tracing=Tracing(None),
        audit=book,
    )


async def test_a_tool_with_effects_is_on_record_before_its_call_and_after_it(book: Book) -> None:
    assert (await call(book, "send", text="hello")).status == "ok"
    assert book.told() == [("send", "allowed", ""), ("send", "ended", "ok")]
    first, last = book.entries
    assert (first.user, first.run_id, first.address) == ("ada", "run-1", "")
    assert len(first.arguments) == 64
    assert first.arguments == last.arguments
    assert "hello" not in str(book.entries)


async def test_a_tool_that_reads_is_on_record_once(book: Book) -> None:
    await call(book, "look", at="it")
    assert book.told() == [("look", "allowed", "ok")]


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("send", {"text": "fail"}, [("send", "allowed", ""), ("send", "ended", "error")]),
        ("send", {"to": "x"}, [("send", "allowed", ""), ("send", "refused", "invalid_arguments")]),
        ("look", {}, [("look", "refused", "invalid_arguments")]),
        ("sk-somebodys-own-words", {}, [("", "refused", "unknown_tool")]),
    ],
)
async def test_how_a_call_ended_is_a_fixed_word(
    book: Book, name: str, arguments: dict[str, Any], told: Sequence[tuple[str, str, str]]
) -> None:
    await call(book, name, **arguments)
    assert book.told() == told
    assert "secret" not in str(book.entries)


async def test_equal_arguments_have_one_fingerprint(book: Book) -> None:
    for text in ("a", "a", "b"):
        await call(book, "look", at=text)
    one, two, three = [entry.arguments for entry in book.entries]
    assert one == two != three


async def test_a_call_that_was_cancelled_is_on_record_as_that(book: Book) -> None:
    calling = asyncio.create_task(call(book, "send", text="wait"))
    while not SENT:  # noqa: ASYNC110 - the tool tells nobody
        await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert book.told() == [("send", "allowed", ""), ("send", "ended", "cancelled")]


async def test_a_caller_without_credentials_is_known_by_address_alone(book: Book) -> None:
    await call(book, "look", Principal("anonymous:made-up", address="203.0.113.7"), at="it")
    (entry,) = book.entries
    assert (entry.user, entry.address) == ("anonymous:anonymous", "203.0.113.7")


async def test_without_a_record_a_tool_with_effects_is_not_called_and_one_that_reads_is(book: Book) -> None:
    book.away = True
    with pytest.raises(StateUnavailable):
        await call(book, "send", text="hello")
    assert SENT == []
    assert book.told() == [("send", "refused", "audit-unavailable")]
    assert (await call(book, "look", at="it")).status == "ok"


async def test_the_model_is_told_of_a_call_that_could_not_be_put_on_record(book: Book) -> None:
    calls = asks_for(ToolCall("a", "send", {"text": "hi"}), ToolCall("b", "look", {"at": "it"}))
    stage = Stage(ScriptedModel(calls, answers("done")), tools=(send, look), audit=book)
    book.away = True
    events = await stage.events()
    finished = {event.tool: event.status for event in events if isinstance(event, ToolFinished)}
    assert finished == {"send": "error", "look": "ok"}
    assert isinstance(events[-1], RunFinished)
    assert SENT == ["it"]


async def test_calls_of_a_run_are_on_record_with_it(book: Book) -> None:
    calls = asks_for(ToolCall("a", "send", {"text": "hi"}))
    stage = Stage(ScriptedModel(calls, answers("done")), tools=(send,), audit=book)
    finished = (await stage.events())[-1]
    assert isinstance(finished, RunFinished)
    assert book.told() == [("send", "allowed", ""), ("send", "ended", "ok")]
    assert {entry.run_id for entry in book.entries} == {finished.answer.run_id}


async def test_a_plain_run_asks_the_record_nothing(book: Book) -> None:
    stage = Stage(ScriptedModel(answers("hi")), audit=book)
    await stage.answer()
    assert book.entries == []


async def test_what_was_taken_out_of_a_run_is_on_record_by_kind(book: Book) -> None:
    redactor = RuleRedactor.of(rules("cards"), lambda kind: redacted(kind, "cards"), redaction_failed)
    stage = Stage(ScriptedModel(answers("4111 1111 1111 1111"), answers("hi")), audit=book, redactor=redactor)
    finished = (await stage.events())[-1]
    await stage.answer()
    assert isinstance(finished, RunFinished)
    [entry] = book.entries
    assert (entry.action, entry.decision, entry.on, entry.why) == ("redact", "flagged", "default", "card")
    assert (entry.user, entry.run_id) == ("ada", finished.answer.run_id)
    assert entry.count >= 1


async def test_each_refusal_of_a_limit_or_a_budget_is_on_record_once(book: Book) -> None:
    limits = '{"tiers": {"default": {"user": {"per_minute": 1}}}}'
    stage = Stage(ScriptedModel(answers("hi")), limits=limits, audit=book)
    for _ in range(3):
        await stage.events()
    assert [(entry.action, entry.on, entry.why, entry.user) for entry in book.entries] == [
        ("limit", "chat", "user", "ada")
    ] * 2
    poor = Stage(ScriptedModel(answers("hi")), budget_user_day_tokens=1, audit=book)
    await poor.events()
    assert (book.entries[-1].why, len(book.entries)) == ("budget-user", 3)


def test_the_tools_of_this_test_are_what_they_seem() -> None:
    assert isinstance(send, Tool)
    assert (send.effect, look.effect) == ("once", "read")

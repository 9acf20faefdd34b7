"""Text that arrives together is told as one piece where that is asked for, in its order with all else."""

import pytest
from msgspec.structs import replace

from app.errors import ModelError
from app.messages import ToolCall
from app.models.protocol import Beside, Completion, Model
from tests.models.dialects import Dialect, Script
from tests.models.servers import Provider, Reply
from tests.models.whole_answer import CALCULATOR, ask

WORDS = ("Grüße", " aus", " 東京 🗼")
CALL = ToolCall("call_1", "calculator", {"expression": "1 + 2"})
REQUEST = replace(ask(tools=(CALCULATOR,)), together=True)


class Heard:
    """What a model tells, in its order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def answer(self, model: Model) -> Completion:
        return await model.generate(REQUEST, self._text, self._beside)

    @property
    def texts(self) -> list[str]:
        return [said for kind, said in self.told if kind == "text"]

    def _text(self, text: str) -> None:
        self.told.append(("text", text))

    def _beside(self, kind: Beside, text: str) -> None:
        self.told.append((kind, text))


async def test_what_arrives_together_is_one_piece(dialect: Dialect, provider: Provider, model: Model) -> None:
    reply, heard = dialect.streamed(Script(WORDS)), Heard()
    provider.will(reply.with_pieces([reply.whole()]))
    assert (await heard.answer(model)).stop_reason == "stop"
    assert heard.texts == ["".join(WORDS)]


async def test_what_arrives_apart_is_told_as_it_comes(dialect: Dialect, provider: Provider, model: Model) -> None:
    heard = Heard()
    provider.will(Reply(dialect.streamed(Script(WORDS)).pieces, pause=0.05))
    await heard.answer(model)
    assert heard.texts == list(WORDS)


async def test_without_a_stream_the_text_is_told_as_well(dialect: Dialect, provider: Provider, model: Model) -> None:
    heard = Heard()
    provider.will(dialect.plain(Script(WORDS)))
    await heard.answer(model)
    assert heard.texts == ["".join(WORDS)]


async def test_text_is_told_before_the_calls_after_it(dialect: Dialect, provider: Provider, model: Model) -> None:
    reply, heard = dialect.streamed(Script(WORDS, [CALL])), Heard()
    provider.will(reply.with_pieces([reply.whole()]))
    assert (await heard.answer(model)).tool_calls == (CALL,)
    assert heard.told[0] == ("text", "".join(WORDS))
    assert {kind for kind, _ in heard.told[1:]} == {"arguments"}


async def test_text_before_a_failure_in_the_same_read_is_told(
    dialect: Dialect, provider: Provider, model: Model
) -> None:
    words = b"".join(dialect.streamed(Script(WORDS)).pieces[:-2])
    error = dialect.event('{"type": "error", "error": {"message": "out of memory"}}')
    heard = Heard()
    provider.will(Reply([words + error]))
    with pytest.raises(ModelError):
        await heard.answer(model)
    assert "".join(heard.texts).startswith(WORDS[0])
    assert len(provider.received) == 1

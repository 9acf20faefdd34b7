"""A provider with an OpenAI-compatible API, on a real socket and in a thread of its own, that does as a test says.

What it answers is written down in `tests/models`: this puts it beside a service that runs in a process of its own.
"""

import asyncio
import time
from collections.abc import Sequence
from threading import Event, Thread
from typing import Any, Self

from app.messages import ToolCall
from tests.models.dialects import OpenAIDialect, Script
from tests.models.servers import Provider, Received, Reply

MODEL = "openai/gpt-4o"
_dialect = OpenAIDialect()
_MODELS = Reply([b'{"object":"list","data":[]}'])


def says(*texts: str) -> Reply:
    """An answer in these pieces, for a call that asks for a stream."""
    return _dialect.streamed(Script(texts))


def says_whole(text: str) -> Reply:
    """An answer for a call that asks for no stream."""
    return _dialect.plain(Script([text]))


def asks(*calls: tuple[str, dict[str, Any]], stream: bool = False) -> Reply:
    """Asks for tools, by name and arguments, all of them at once."""
    wanted = [ToolCall(f"call_{index}", name, arguments) for index, (name, arguments) in enumerate(calls)]
    script = Script((), wanted)
    return _dialect.streamed(script) if stream else _dialect.plain(script)


def refuses(status: int, **headers: str) -> Reply:
    error = _dialect.error(status, "words of the provider")
    return Reply(error.pieces, status, {name.replace("_", "-"): value for name, value in headers.items()})


class Upstream(Provider):
    """Gives its replies in turn; each request for a list of models, such as a probe's, gets one as well."""

    def __init__(self) -> None:
        super().__init__()
        self._started = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        async with self:
            self._started.set()
            await self._stopping.wait()

    def reply_to(self, request: Received) -> Reply:
        return _MODELS if request.method == "GET" else super().reply_to(request)

    def reset(self, *replies: Reply) -> None:
        """Forget what was asked, and answer with these."""
        self.received.clear()
        self.left.clear()
        self.will(*replies)

    @property
    def calls(self) -> Sequence[Received]:
        """The model calls so far."""
        return [request for request in self.received if request.method == "POST"]

    def wait_for_calls(self, count: int, seconds: float = 10.0) -> None:
        _until(lambda: len(self.calls) >= count, seconds, f"{count} calls")

    def wait_until_left(self, seconds: float) -> None:
        """Returns when a client has closed its connection in the midst of an answer."""
        _until(self.left.is_set, seconds, "that the client leaves")


def _until(reached: Any, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.005)

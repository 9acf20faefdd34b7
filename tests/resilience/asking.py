"""Requests to the service under load: each an outcome, however it ends."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

PATHS = {False: "/chat", True: "/chat/stream"}
PATIENCE_SECONDS = 150


@dataclass(frozen=True)
class Outcome:
    """What a caller got: `status` is that of the answer, or of the problem that ended its stream; 0: no answer."""

    at: float
    """When it was asked, in time.monotonic()."""
    seconds: float
    status: int
    told: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    events: Sequence[str] = ()
    """Names of its stream's events."""
    switches: Sequence[Mapping[str, Any]] = ()
    """From which model to which its stream went, and where in the text."""

    @property
    def slug(self) -> str:
        return str(self.told.get("type", "")).rpartition(":")[2]

    @property
    def ended_at(self) -> float:
        return self.at + self.seconds

    @property
    def retry_after(self) -> float | None:
        """From the header, or the problem of a stream."""
        told = self.headers.get("Retry-After", self.told.get("retry_after"))
        return None if told is None else float(told)

    @property
    def tokens(self) -> int:
        return int(self.told.get("tokens_used", 0))


class Callers:
    """Ask services over connections of their own."""

    def __init__(self) -> None:
        self._http: aiohttp.ClientSession | None = None
        self.latest = 0.0
        """Seconds by which a request was sent too late: what a busy machine adds to other delays as well."""

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(PATIENCE_SECONDS)
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._http
        await self._http.close()

    async def ask(self, url: str, *, stream: bool = False, **fields: Any) -> Outcome:
        assert self._http
        start = time.monotonic()
        try:
            async with self._http.post(f"{url}{PATHS[stream]}", json={"message": "Count.", **fields}) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError):
            return Outcome(start, time.monotonic() - start, 0)
        seconds = time.monotonic() - start
        if response.content_type != "text/event-stream":
            told = json.loads(text)
            return Outcome(start, seconds, response.status, told, response.headers, told.get("answer", ""))
        return _streamed(start, seconds, response.headers, text)

    async def at_rate(self, url: str, per_second: float, until: float, **fields: Any) -> list[Outcome]:
        """Requests at an even rate, whatever becomes of them, until this time of time.monotonic(). Half are streams."""
        async with asyncio.TaskGroup() as group:
            asked: list[asyncio.Task[Outcome]] = []
            due = time.monotonic()
            while due < until:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self.latest = max(self.latest, time.monotonic() - due)
                asked.append(group.create_task(self.ask(url, stream=len(asked) % 2 == 1, **fields)))
                due += 1 / per_second
        return [task.result() for task in asked]

    async def together(self, url: str, count: int, **fields: Any) -> list[Outcome]:
        """All at once."""
        return await asyncio.gather(*(self.ask(url, stream=number % 2 == 1, **fields) for number in range(count)))

    async def in_turns(self, urls: Sequence[str], count: int, at_once: int, **fields: Any) -> list[Outcome]:
        """So many in all, so many at a time."""
        numbers = iter(range(count))

        async def one_by_one() -> list[Outcome]:
            return [await self.ask(urls[number % len(urls)], stream=number % 4 == 1, **fields) for number in numbers]

        return [outcome for some in await asyncio.gather(*(one_by_one() for _ in range(at_once))) for outcome in some]


def _streamed(start: float, seconds: float, headers: Mapping[str, str], text: str) -> Outcome:
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("id: ")]
    events = [(lines[1].removeprefix("event: "), json.loads(lines[2].removeprefix("data: "))) for lines in blocks]
    name, told = events[-1]
    said = "".join(data["text"] for kind, data in events if kind == "token")
    status = int(told["status"]) if name == "run.failed" else 200 if name == "run.finished" else 0
    switches = [
        {name: data[name] for name in ("from", "to", "at_char")} for kind, data in events if kind == "model.switched"
    ]
    return Outcome(start, seconds, status, told, headers, said, [kind for kind, _ in events], switches)

"""Several commands at once: they leave together and cost one round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

import hiredis

from app.errors import StateUnavailable
from app.state.store import Store


@dataclass(frozen=True, slots=True)
class Command:
    """`source` is the text of the script that `words` name by its hash, if they do."""

    words: tuple[Any, ...]
    source: str = ""


class Script:
    """A Lua script, by its hash; sent whole only to a server that does not know it yet."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = sha1(source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Command:
        return Command(("EVALSHA", self.sha, len(keys), *keys, *args), self.source)


Exchange = Callable[[Sequence[Command]], Awaitable[list[Any]]]
"""The replies in order; in the place of one that the server refused, its StateUnavailable.

Raises StateUnavailable when the server does not answer.
"""


def exchange_with(store: Store) -> Exchange:
    async def exchange(commands: Sequence[Command]) -> list[Any]:
        replies = await asyncio.gather(*(store.call(*command.words) for command in commands), return_exceptions=True)
        for place, reply in enumerate(replies):
            if not isinstance(reply, BaseException):
                continue
            if not isinstance(reply, StateUnavailable) or not isinstance(reply.__cause__, hiredis.ReplyError):
                raise reply
            if str(reply.__cause__).startswith("NOSCRIPT"):  # a server that was started since
                command = commands[place]
                replies[place] = await store.call("EVAL", command.source, *command.words[2:])
        return list(replies)

    return exchange

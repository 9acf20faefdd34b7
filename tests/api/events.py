"""Server-sent events as they come over the wire."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

DONE = "data: [DONE]"
_EVENT = re.compile(r"id: (\d+)\nevent: ([a-z.]+)\ndata: (\{.*\})")


@dataclass(frozen=True)
class Event:
    id: int
    name: str
    data: Any


def blocks(chunks: Iterable[str]) -> Iterator[str]:
    """What blank lines part, as soon as it is there. The stream has to end after one."""
    rest = ""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split("\n\n")
        yield from whole
    assert rest == "", f"cut: {rest!r}"


def parse(block: str) -> Event:
    """One event, of exactly the three lines that it has to have."""
    found = _EVENT.fullmatch(block)
    assert found, block
    return Event(int(found[1]), found[2], json.loads(found[3]))


def parse_all(text: str) -> list[Event]:
    """The events of a complete stream, whose last line is `data: [DONE]`."""
    *events, done = blocks([text])
    assert done == DONE
    return [parse(block) for block in events if not block.startswith(":")]

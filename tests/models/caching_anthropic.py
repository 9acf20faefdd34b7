"""An Anthropic that keeps account of the prompts it has seen, and bills by it: on a real socket, for the real SDK.

What it goes by is https://platform.claude.com/docs/en/build-with-claude/prompt-caching: a request is tools, system and
messages in that order; an entry is written at each marked block whose prefix is long enough; from each mark the longest
entry is read that ends at one of the 20 blocks up to it; reading makes an entry last anew.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

from app.messages import Usage
from tests.models.anthropic_events import STOP, call, end, start, stream, text, thinking
from tests.models.dialects import AnthropicDialect, Script, dump
from tests.models.servers import Provider, Received, Reply

MARKS = 4
LOOKBACK = 20
BYTES_A_TOKEN = 4
SECONDS = {"5m": 300.0, "1h": 3600.0}

Answering = Callable[[dict[str, Any]], Script]
"""What it answers to a request's body."""

_dialect = AnthropicDialect()


class Block(NamedTuple):
    key: bytes
    """Of all up to here."""
    tokens: int
    """Of all up to here."""
    ttl: str | None
    """Where it is marked."""


@dataclass
class Bill:
    """One call's."""

    usage: Usage
    by_ttl: dict[str, int] = field(default_factory=dict)
    """Tokens written."""
    shared: int = 0
    """Tokens of the longest beginning that any call before it had, marked or not."""


class CachingAnthropic(Provider):
    def __init__(self, answering: Answering, minimum: int = 1024, thought: str = "") -> None:
        """`thought` is what it thinks before each answer."""
        super().__init__()
        self._thought = thought
        self.now = 0.0
        self.bills: list[Bill] = []
        self._answering = answering
        self._minimum = minimum
        self._entries: dict[bytes, tuple[float, str]] = {}  # until when, and its TTL
        self._seen: set[bytes] = set()

    def reply_to(self, request: Received) -> Reply:
        body = request.body
        blocks = _blocks(body)
        if problem := _problem(blocks):
            return _dialect.error(400, problem)
        bill = self._bill(blocks)
        self.bills.append(bill)
        said = self._answering(body)
        bill.usage += Usage(0, said.usage.output_tokens)
        return _streamed(said, _dialect.usage(bill.usage), self._thought)

    def _bill(self, blocks: Sequence[Block]) -> Bill:
        shared = max((block.tokens for block in blocks if block.key in self._seen), default=0)
        self._seen.update(block.key for block in blocks)
        marked = [place for place, block in enumerate(blocks) if block.ttl and block.tokens >= self._minimum]
        near = {place for mark in marked for place in range(max(0, mark - LOOKBACK + 1), mark + 1)}
        kept = [blocks[place] for place in sorted(near) if self._is_kept(blocks[place].key)]
        read = kept[-1].tokens if kept else 0
        by_ttl: dict[str, int] = {}
        until = read
        for block in [*kept[-1:], *(blocks[place] for place in marked)]:
            ttl = self._keep(block)
            by_ttl[ttl] = by_ttl.get(ttl, 0) + max(0, block.tokens - until)
            until = max(until, block.tokens)
        return Bill(Usage(blocks[-1].tokens, 0, read, until - read), by_ttl, shared)

    def _is_kept(self, key: bytes) -> bool:
        return key in self._entries and self._entries[key][0] > self.now

    def _keep(self, block: Block) -> str:
        """For as long as it was first written for, or as its mark says."""
        ttl = self._entries[block.key][1] if self._is_kept(block.key) else block.ttl or "5m"
        self._entries[block.key] = (self.now + SECONDS[ttl], ttl)
        return ttl


def _streamed(said: Script, usage: dict[str, Any], thought: str) -> Reply:
    blocks = [thinking(0, thought, f"signature of {usage}")] if thought else []
    blocks += [text("".join(said.texts), len(blocks))] if said.texts else []
    blocks += [call(len(blocks) + at, one.id, one.name, dump(one.arguments)) for at, one in enumerate(said.calls)]
    return stream(start(usage), blocks, end("tool_use" if said.calls else "end_turn", usage), STOP)


def _blocks(body: dict[str, Any]) -> list[Block]:
    key = hashlib.sha256(body["model"].encode()).digest()
    blocks: list[Block] = []
    tokens = 0
    for told, ttl in _told(body):
        key = hashlib.sha256(key + told.encode()).digest()
        tokens += -(-len(told.encode()) // BYTES_A_TOKEN)
        blocks.append(Block(key, tokens, ttl))
    return blocks


def _told(body: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Each block as text, with its mark."""
    for tool in body.get("tools", ()):
        yield _without_mark("", tool)
    system = body.get("system", ())
    for block in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield _without_mark("", block)
    chosen = json.dumps(body.get("tool_choice", {"type": "auto"}))  # another one: another cache of messages
    for message in body["messages"]:
        for block in message["content"]:
            yield _without_mark(chosen + message["role"], block)


def _without_mark(before: str, block: dict[str, Any]) -> tuple[str, str | None]:
    mark = block.get("cache_control")
    rest = {name: value for name, value in block.items() if name != "cache_control"}
    return before + json.dumps(rest, ensure_ascii=False), mark and mark.get("ttl", "5m")


def _problem(blocks: Sequence[Block]) -> str | None:
    ttls = [block.ttl for block in blocks if block.ttl]
    if len(ttls) > MARKS:
        return f"A maximum of {MARKS} blocks with cache_control may be provided. Found {len(ttls)}."
    if any(later == "1h" and earlier == "5m" for earlier, later in pairwise(ttls)):
        return "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block."
    return None

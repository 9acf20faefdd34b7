"""Answers that are given again to equal requests, and who of those that ask at the same time makes one.

An answer and its lead are under a hash of all that shapes the answer, which is their hash tag: one slot of a cluster.
"""

import asyncio
from collections.abc import Callable, Coroutine
from hashlib import blake2b
from typing import Any, Literal

import msgspec
from msgspec import Struct

from app.settings import Settings
from app.state.scripts import FIND_ANSWER, KEEP_ANSWER, LEAD_ANSWER, READ_ANSWER
from app.state.store import Argument, Script, Store, under_way, unknown_script
from app.telemetry.logs import log

LEAD_SECONDS = 2.5
"""How long the lead lasts unless it is renewed: so long after a process was killed another takes over."""

ALONE_SECONDS = 10.0
"""How long nobody waits for an answer that has turned out to be none that may be kept."""

MAX_BYTES = 65_536
"""Of an answer that is kept, in JSON."""

IN_PROCESS = (2_000, 33_554_432)
"""Answers, and bytes of them, that a store in the process has; the oldest goes first."""

_LAST_WORDS_SECONDS = 2.0
_encode = msgspec.json.Encoder().encode


class KeptAnswer(Struct, frozen=True):
    text: str
    model: str
    """The reference of the model that wrote it."""
    tools: tuple[str, ...] = ()
    """That it took."""
    sources: tuple[str, ...] = ()


class Found(Struct, frozen=True):
    """`lead`: the asker is to make the answer, and others wait for it; `wait`: another makes it; `alone`: the asker is
    to make one for itself; `none`: there is none."""

    status: Literal["kept", "lead", "wait", "alone", "none"]
    answer: KeptAnswer | None = None
    age_seconds: float = 0.0


_decode = msgspec.json.Decoder(KeptAnswer).decode


class AnswerCache:
    """Built once a process. `find`, `read` and `awaited` raise StateUnavailable when the store is away; all commands
    leave when they are called."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._find = Script(store, FIND_ANSWER)
        self._read = Script(store, READ_ANSWER)
        self._keep = Script(store, KEEP_ANSWER)
        self._lead = Script(store, LEAD_ANSWER)
        self._bounds: tuple[int, ...] = () if settings.redis_url else IN_PROCESS
        self._everywhere = () if settings.redis_url else ("answers", "answer-sizes")
        self._writing: set[asyncio.Future[Any]] = set()
        self.settings_digest = _digest_of(settings)
        """Of the settings that shape every answer."""

    def find(self, key: str, asker: str, fresh_seconds: float) -> Coroutine[Any, Any, Found]:
        """The answer, if it is that fresh; else the lead, if nobody has it."""
        return self._find(_keys(key), asker, round(LEAD_SECONDS * 1000), fresh_seconds, read=_found)

    def read(self, key: str) -> Coroutine[Any, Any, Found]:
        """The answer, whatever its age."""
        return self._read(_keys(key), read=_found)

    def keep(self, key: str, asker: str, answer: KeptAnswer, seconds: float) -> bool:
        """Keep the answer so long, in the background, and give the lead back. False if it is too large."""
        encoded = _encode(answer)
        if len(encoded) > MAX_BYTES:
            return False
        keys = (*_keys(key), *self._everywhere)
        self._write(self._keep, keys, asker, round(seconds * 1000), encoded, *self._bounds)
        return True

    def renew(self, key: str, asker: str) -> None:
        self._write(self._lead, _keys(key), asker, "renew", round(LEAD_SECONDS * 1000))

    def awaited(self, key: str, asker: str) -> Coroutine[Any, Any, bool]:
        """Renew the lead. Whether other processes wait for the answer; False too if the lead is another's."""
        return self._lead(_keys(key), asker, "renew", round(LEAD_SECONDS * 1000), read=bool)

    def release(self, key: str, asker: str, *, alone: bool = False) -> None:
        """Give the lead to whoever asks next, or wait no longer; `alone`: have the others not wait for each other."""
        action = "alone" if alone else "release"
        self._write(self._lead, _keys(key), asker, action, round(ALONE_SECONDS * 1000))

    def _write(self, script: Script, keys: tuple[str, ...], *arguments: Argument) -> None:
        """In the background."""
        self._watch(script.send(keys, *arguments), lambda: under_way(script(keys, *arguments)))

    def _watch(self, reply: asyncio.Future[Any], again: Callable[[], asyncio.Future[Any]] | None = None) -> None:
        """`again` sends what a server does not know with its whole text."""

        def written(_: asyncio.Future[Any]) -> None:
            self._writing.discard(reply)
            if reply.cancelled() or (error := reply.exception()) is None:
                return
            if again is not None and unknown_script(error):
                self._watch(again())
            else:
                log.warning("answer_cache.unwritten", error=repr(error.__cause__ or error))

        self._writing.add(reply)
        reply.add_done_callback(written)

    async def aclose(self) -> None:
        """Wait for what is being written."""
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                while self._writing:
                    await asyncio.wait(self._writing)
        except TimeoutError:
            log.warning("answer_cache.unwritten", error="no time left")


def _keys(key: str) -> tuple[str, str]:
    return f"answer:{{{key}}}", f"answering:{{{key}}}"


def _found(reply: list[bytes]) -> Found:
    status = reply[0].decode()
    if status != "kept":
        return Found(status)  # type: ignore[arg-type]  # the scripts say no other
    try:
        return Found("kept", _decode(reply[2]), int(reply[1]) / 1000)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Found("alone")


def _digest_of(settings: Settings) -> bytes:
    shaping = (
        settings.models,
        settings.model_options,
        settings.ollama_api_base,
        settings.ollama_num_ctx,
        settings.anthropic_base_url,
        settings.openai_base_url,
    )
    return blake2b(repr(shaping).encode(), digest_size=16).digest()

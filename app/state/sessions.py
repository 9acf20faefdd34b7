"""A session's history: a list of whole turns under its user's name. A turn is written at once or not at all."""

import builtins
import time
from collections.abc import Awaitable, Coroutine
from typing import Any

import msgspec
from msgspec import Struct

from app.messages import Turn
from app.state.store import Script, Store
from app.telemetry.logs import log

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Turn).decode

# KEYS[1] the session, KEYS[2] its user's index; ARGV[1] the turn, ARGV[2] most turns kept, ARGV[3] seconds kept,
# ARGV[4] the session's id, ARGV[5] now
_APPEND = """
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -ARGV[2], -1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[3])
"""


class SessionSummary(Struct, frozen=True):
    session_id: str
    updated_at: float  # seconds since the epoch
    turns: int


class Sessions:
    """Histories by user and session. Every method raises StateUnavailable when the store is away."""

    def __init__(self, store: Store, *, ttl_seconds: int, max_turns: int) -> None:
        self._store = store
        self._ttl_seconds = ttl_seconds
        self._max_turns = max_turns
        self._append = Script(store, _APPEND)

    def load(self, user: str, session_id: str) -> Coroutine[Any, Any, builtins.list[Turn]]:
        """The session's turns, oldest first; empty if there is no such session. What cannot be read is left out."""
        return self._read(self._store.call("LRANGE", _key(user, session_id), 0, -1), session_id)

    async def _read(self, rows: Awaitable[builtins.list[bytes]], session_id: str) -> builtins.list[Turn]:
        turns = []
        for row in await rows:
            try:
                turns.append(_decode(row))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                log.warning("session.turn_unreadable", session_id=session_id, error=type(error).__name__)
        return turns

    def append(self, user: str, session_id: str, turn: Turn) -> Coroutine[Any, Any, None]:
        keys = (_key(user, session_id), _index(user))
        return self._append(keys, _encode(turn), self._max_turns, self._ttl_seconds, session_id, time.time())

    async def delete(self, user: str, session_id: str, *, address: str = "") -> bool:
        """Forget the session. False if there was none."""
        await self._store.call("ZREM", _index(user), session_id)
        return bool(await self._store.call("DEL", _key(user, session_id)))

    async def list(
        self, user: str, limit: int, before: float | None = None, *, address: str = ""
    ) -> builtins.list[SessionSummary]:
        """The user's sessions, the last used first: at most `limit` of those last used before that time."""
        last = "+inf" if before is None else f"({before!r}"
        rows = await self._store.call(
            "ZRANGE", _index(user), last, "-inf", "BYSCORE", "REV", "LIMIT", 0, limit, "WITHSCORES"
        )
        found = []
        for row in rows:
            name, used = row
            turns = await self._store.call("LLEN", _key(user, name.decode()))
            found.append(SessionSummary(name.decode(), float(used), turns))
        return found


def _key(user: str, session_id: str) -> str:
    return f"session:{user}:{session_id}"


def _index(user: str) -> str:
    return f"sessions:{user}"

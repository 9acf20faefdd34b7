"""A session's history: a list of whole turns under its user's name. A turn is written at once or not at all."""

from collections.abc import Awaitable, Coroutine
from typing import Any

import msgspec

from app.messages import Turn
from app.state.store import Script, Store
from app.telemetry.logs import log

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Turn).decode

# KEYS[1] the session; ARGV[1] the turn, ARGV[2] most turns kept, ARGV[3] seconds kept
_APPEND = """
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -ARGV[2], -1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
"""


class Sessions:
    """Histories by user and session. Every method raises StateUnavailable when the store is away."""

    def __init__(self, store: Store, *, ttl_seconds: int, max_turns: int) -> None:
        self._store = store
        self._ttl_seconds = ttl_seconds
        self._max_turns = max_turns
        self._append = Script(store, _APPEND)

    def load(self, user: str, session_id: str) -> Coroutine[Any, Any, list[Turn]]:
        """The session's turns, oldest first; empty if there is no such session. What cannot be read is left out."""
        return self._read(self._store.call("LRANGE", _key(user, session_id), 0, -1), session_id)

    async def _read(self, rows: Awaitable[list[bytes]], session_id: str) -> list[Turn]:
        turns = []
        for row in await rows:
            try:
                turns.append(_decode(row))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                log.warning("session.turn_unreadable", session_id=session_id, error=type(error).__name__)
        return turns

    def append(self, user: str, session_id: str, turn: Turn) -> Coroutine[Any, Any, None]:
        return self._append((_key(user, session_id),), _encode(turn), self._max_turns, self._ttl_seconds)

    async def delete(self, user: str, session_id: str) -> bool:
        """Forget the session. False if there was none."""
        return bool(await self._store.call("DEL", _key(user, session_id)))


def _key(user: str, session_id: str) -> str:
    return f"session:{user}:{session_id}"

"""A session's history: a list of whole turns under its user's name. A turn is written at once or not at all."""

import msgspec
import structlog
from redis.asyncio import Redis

from app.messages import Turn
from app.state.redis import state_errors

log = structlog.get_logger()

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Turn).decode

# KEYS[1] the session; ARGV[1] the turn, ARGV[2] most turns kept, ARGV[3] seconds kept
_APPEND = """
redis.call('RPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], -ARGV[2], -1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
"""


class Sessions:
    """Histories by user and session. Every method raises StateUnavailable when Redis is away."""

    def __init__(self, redis: Redis, *, ttl_seconds: int, max_turns: int) -> None:
        self._redis = redis
        self._ttl_seconds = ttl_seconds
        self._max_turns = max_turns
        self._append = redis.register_script(_APPEND)

    async def load(self, user: str, session_id: str) -> list[Turn]:
        """The session's turns, oldest first; empty if there is no such session. What cannot be read is left out."""
        with state_errors():
            rows = await self._redis.lrange(_key(user, session_id), 0, -1)
        turns = []
        for row in rows:
            try:
                turns.append(_decode(row))
            except msgspec.DecodeError as error:
                log.warning("session.turn_unreadable", session_id=session_id, error=type(error).__name__)
        return turns

    async def append(self, user: str, session_id: str, turn: Turn) -> None:
        with state_errors():
            await self._append(keys=[_key(user, session_id)], args=[_encode(turn), self._max_turns, self._ttl_seconds])

    async def delete(self, user: str, session_id: str) -> bool:
        """Forget the session. False if there was none."""
        with state_errors():
            return bool(await self._redis.delete(_key(user, session_id)))

    async def probe(self) -> None:
        with state_errors():
            await self._redis.ping()

    async def aclose(self) -> None:
        await self._redis.aclose()


def _key(user: str, session_id: str) -> str:
    return f"session:{user}:{session_id}"

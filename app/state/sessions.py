"""A session's history: whole turns under its user's name, in the order of their questions.

A turn is written at once or not at all. All keys of a user share a hash tag, and so a slot of a cluster; what anonymous
callers say is under one tag, apart from the users who are known: a name that anybody may give proves nothing.
"""

import builtins
from collections.abc import Awaitable, Coroutine
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from app.messages import Turn
from app.state.bounds import Bounds
from app.state.scripts import APPEND, DELETE, LIST
from app.state.store import Script, Store, under_way
from app.state.writes import BackgroundWrites
from app.telemetry.logs import log

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Turn).decode

NEW = 0
"""When the run of a session's first turn began: before all others."""

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_MICROS = 1_000_000


class Recalled(Struct, frozen=True):
    turns: list[Turn]
    """Oldest first. What cannot be read is left out."""
    at: int
    """When, in microseconds by the store's clock."""
    size: int
    """Bytes of the turns in JSON."""


class SessionSummary(Struct, frozen=True):
    session_id: str
    updated_at: float  # seconds since the epoch
    turns: int


class Sessions:
    """Histories by user and session. Every method raises StateUnavailable when the store is away.

    `anonymous`: callers are who they say they are. Their sessions are counted, and listed, by their `address`.
    """

    def __init__(self, store: Store, bounds: Bounds, *, anonymous: bool = False) -> None:
        self._store = store
        self._bounds = bounds
        self._anonymous = anonymous
        self._append = Script(store, f"local bounds = {{ {bounds.as_words()} }}\n{APPEND}")
        self._delete = Script(store, DELETE)
        self._list = Script(store, LIST)
        self._everywhere = ("sessions", "session-sizes") if bounds.in_process else ()
        self._writes = BackgroundWrites("session.turn_lost")

    async def load(self, user: str, session_id: str) -> builtins.list[Turn]:
        """The session's turns, oldest first; empty if there is no such session."""
        return (await self.recall(user, session_id)).turns

    def recall(self, user: str, session_id: str) -> Coroutine[Any, Any, Recalled]:
        """The session's turns, for a run that begins now. The question leaves when this is called."""
        clock = self._store.call("TIME")  # before the turns: what is deleted in between does not come back
        return _recalled(session_id, clock, self._store.call("HGETALL", self._prefix(user) + session_id))

    def append(
        self, user: str, session_id: str, turn: Turn, *, began: int | None = None, address: str = ""
    ) -> Coroutine[Any, Any, bool]:
        """Keep the turn of a run that began at that time of the store (NEW: with the session; None: now).

        False if the session was deleted since. The turn leaves when this is called.
        """
        keys = self._keys(user, session_id, address)
        when = "" if began is None else began
        return self._append(keys, turn.message_id, _encode(turn), when, read=bool)

    def append_later(self, user: str, session_id: str, turn: Turn, *, began: int | None, address: str) -> None:
        """As `append`, in the background: for a run that was cancelled."""
        self._writes.add(under_way(self.append(user, session_id, turn, began=began, address=address)))

    async def aclose(self) -> None:
        """Wait for what is being written."""
        await self._writes.aclose()

    async def delete(self, user: str, session_id: str, *, address: str = "") -> bool:
        """Forget the session. False if there was none. Runs that are going on do not bring it back."""
        return bool(await self._delete(self._keys(user, session_id, address), self._bounds.run_seconds))

    async def list(
        self, user: str, limit: int, before: float | None = None, *, address: str = ""
    ) -> builtins.list[SessionSummary]:
        """The user's sessions, the last used first: at most `limit` of those that were last used before that time.

        Anonymous callers are shown those of their name that were used from their address.
        """
        prefix, _, index, *_ = self._keys(user, "", address)
        last = "+inf" if before is None else str(round(before * _MICROS))
        reply = await self._list((index,), prefix, last, limit)
        return [
            SessionSummary(key.decode()[len(prefix) :], float(used) / _MICROS, turns)
            for key, used, turns in zip(reply[::3], reply[1::3], reply[2::3], strict=True)
        ]

    def _keys(self, user: str, session_id: str, address: str) -> tuple[str, ...]:
        owner = _owner(user, address or "unknown" if self._anonymous else None)
        return (owner.prefix + session_id, owner.deleted, owner.sessions, owner.sizes, *self._everywhere)

    def _prefix(self, user: str) -> str:
        return _owner(user, "" if self._anonymous else None).prefix


class _Owner(NamedTuple):
    """The keys of a user, and of an anonymous caller's address."""

    prefix: str
    deleted: str
    sessions: str
    sizes: str


@lru_cache(4096)
def _owner(user: str, address: str | None) -> _Owner:
    """`address`: of an anonymous caller."""
    tag, of, shelf = ("{anonymous}", f"{user}:", f":{address}") if address is not None else (f"{{{user}}}", "", "")
    return _Owner(f"session:{tag}:{of}", f"deleted:{tag}", f"sessions:{tag}{shelf}", f"session-sizes:{tag}{shelf}")


async def _recalled(
    session_id: str, clock: Awaitable[tuple[bytes, bytes]], turns_by_field: Awaitable[builtins.list[bytes]]
) -> Recalled:
    seconds, micros = await clock
    fields = await turns_by_field
    in_order = sorted(zip(fields[::2], fields[1::2], strict=True)) if fields else []
    rows = [row for _, row in in_order[:-1]]  # `bytes` comes last
    try:
        turns = list(map(_decode, rows))
    except _UNREADABLE:
        turns = [turn for row in rows if (turn := _readable(row, session_id)) is not None]
    return Recalled(turns, int(seconds) * _MICROS + int(micros), sum(map(len, rows)))


def _readable(row: bytes, session_id: str) -> Turn | None:
    try:
        return _decode(row)
    except _UNREADABLE as error:
        log.warning("session.turn_unreadable", session_id=session_id, error=type(error).__name__)
        return None

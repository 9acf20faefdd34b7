"""Requests of one address, counted in this process: how many a minute, how many at once, how many that were refused.

These need no round trip to the store and are not exact over processes: they protect each process. The generic cell rate
algorithm keeps one number for each count: the time by which what was let in would have been spread out evenly.
"""

import time
from collections import OrderedDict

from app.errors import RateLimited
from app.limits.tiers import PEER_FACTOR
from app.telemetry import metrics

_WINDOW = 60.0  # seconds
_PEER = "peer "  # before its address, which may also be counted by itself
_MOST_KEPT = 10_000  # addresses and users


class _Counts:
    __slots__ = ("open", "spread_until")

    def __init__(self) -> None:
        self.open = 0
        self.spread_until = 0.0


class Gate:
    """Every limit may be None, which is none. What is kept is bounded: who was not seen for longest is forgotten."""

    def __init__(self, per_minute: int | None, concurrent: int | None, refused_per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._concurrent = concurrent
        self._refused_per_minute = refused_per_minute
        self._counts: OrderedDict[str, _Counts] = OrderedDict()
        self._refused_until: OrderedDict[str, float] = OrderedDict()
        self.counts = per_minute is not None or concurrent is not None
        """Whether `enter` and `leave` do anything."""

    def __len__(self) -> int:
        """Addresses and peers that are remembered."""
        return len(self._counts)

    def enter(self, address: str, peer: str) -> None:
        """Let a request in, for which `leave` is called later. Raises RateLimited.

        `peer`, where there is one, is held to wider limits for all addresses that it tells.
        """
        now = time.monotonic()
        counts = self._of(address)
        self._check(counts, now, 1)
        if not peer:
            self._count(counts, now, 1)
            return
        of_peer = self._of(_PEER + peer)
        self._check(of_peer, now, PEER_FACTOR)
        self._count(counts, now, 1)
        self._count(of_peer, now, PEER_FACTOR)

    def leave(self, address: str, peer: str) -> None:
        for name in (address, _PEER + peer) if peer else (address,):
            counts = self._counts.get(name)
            if counts is not None and counts.open > 0:
                counts.open -= 1

    def refused(self, name: str, peer: str, weight: float) -> None:
        """Count a refused request of an address or a user."""
        if self._refused_per_minute is None:
            return
        now = time.monotonic()
        for who, factor in ((name, 1), (_PEER + peer, PEER_FACTOR)):
            if who != _PEER:
                until = max(self._refused_until.get(who, now), now)
                until += weight * _WINDOW / (self._refused_per_minute * factor)
                self._refused_until[who] = min(until, now + 2 * _WINDOW)
                self._refused_until.move_to_end(who)
        while len(self._refused_until) > _MOST_KEPT:
            self._refused_until.popitem(last=False)

    def check_refused(self, name: str, peer: str = "") -> None:
        """Raises RateLimited for an address or a user with too many refused requests."""
        if self._refused_per_minute is None or not self._refused_until:
            return
        now = time.monotonic()
        for who, factor in ((name, 1), (_PEER + peer, PEER_FACTOR)):
            until = self._refused_until.get(who)
            if until is not None:
                wait = until + _WINDOW / (self._refused_per_minute * factor) - now - _WINDOW
                if wait > 0:
                    raise _limited("refused", wait)

    def _of(self, name: str) -> _Counts:
        counts = self._counts.get(name)
        if counts is None:
            counts = self._counts[name] = _Counts()
            self._forget()
        else:
            self._counts.move_to_end(name)
        return counts

    def _forget(self) -> None:
        """An address with open requests is kept: there are no more of those than connections."""
        for _ in range(2 if len(self._counts) > _MOST_KEPT else 0):
            name, counts = next(iter(self._counts.items()))
            if counts.open:
                self._counts.move_to_end(name)
            else:
                del self._counts[name]

    def _check(self, counts: _Counts, now: float, factor: int) -> None:
        if self._concurrent is not None and counts.open >= self._concurrent * factor:
            raise _limited("address-concurrent", 1)
        if self._per_minute is not None:
            wait = counts.spread_until + _WINDOW / (self._per_minute * factor) - now - _WINDOW
            if wait > 0:
                raise _limited("address", wait)

    def _count(self, counts: _Counts, now: float, factor: int) -> None:
        counts.open += 1
        if self._per_minute is not None:
            counts.spread_until = max(counts.spread_until, now) + _WINDOW / (self._per_minute * factor)


def _limited(policy: str, wait: float) -> RateLimited:
    scope = policy.removesuffix("-concurrent")
    metrics.RATE_LIMITED.labels(scope).inc()
    return RateLimited(policy, max(1, -int(-wait // 1)), policies="", shown=False, scope=scope)

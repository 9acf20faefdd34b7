"""The limits of a process: what a run asks before it starts, and what it reports when it is over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache, partial
from typing import Any

from app.access.principal import Principal
from app.errors import StateUnavailable
from app.ids import new_id
from app.limits import budgets, tiers
from app.limits.allowance import Amount, Growth
from app.limits.heartbeat import Leases, OnLost
from app.limits.reservation import Claim, Terms, now
from app.limits.scripts import ADMIT, SETTLE
from app.limits.wire import Places
from app.settings import Settings
from app.state.store import Script, Store
from app.telemetry.logs import log

CHAT, AGENT = "chat", "agent"
SESSIONS, USAGE, TOOLS = "sessions", "usage", "tools"


class Limiter:
    """Built once a process; `leases.tend` goes on in the background as long as the process lives."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Raises ConfigurationError for LIMITS that cannot be read."""
        limits = tiers.parse(settings.limits)
        self._rules = lru_cache(1024)(partial(tiers.rules, limits))
        self.budgets = budgets.budgets(settings)
        self.anonymous_budgets = budgets.anonymous_budgets(settings)
        self._fullest = budgets.Fullest()
        self._terms = Terms(
            settings.lease_seconds, settings.usage_days * 86_400, settings.limits_fail, self._fullest.saw
        )
        self._admission = Script(store, ADMIT)
        self._settlement = Script(store, SETTLE)
        self.leases = Leases(
            settings.lease_seconds / 3, renew=self._admission, settle=self._settlement, on_beat=self._fullest.beat
        )

    def claim(
        self,
        principal: Principal,
        operation: str,
        run: str,
        most: Amount = (0, 0),
        first: Callable[[], Growth] | None = None,
        *,
        within_run: bool = False,
    ) -> Claim:
        """For a run that may use at most so many tokens and nano-dollars. Nothing is asked of the store yet.

        `first` tells what it begins with, and is asked only where a budget has to be; without it, that is all of
        `most`. Where a budget is short, the run's allowance is smaller. `operation` is `chat`, `agent`, `tool:NAME` or
        one of READS; `within_run`: it is part of a run that was admitted.
        """
        places = places_of(principal)
        concerned = [
            (budget, key)
            for budget in (self.budgets if principal.authenticated else self.anonymous_budgets)
            if budget.concerns(*most) and (key := budget.key(places.subject, principal)) is not None
        ]
        rules = self._rules(principal.tier, operation, within_run=within_run, peered=bool(places.peer))
        return Claim(
            run,
            usage_name(principal),
            places,
            operation,
            rules,
            concerned,
            first() if first is not None and concerned else Growth(most, most),
            most,
            self._terms,
        )

    async def admit(self, claim: Claim, on_lost: OnLost) -> Mapping[str, str]:
        """Returns headers that tell the caller where they stand.

        `on_lost` is called when what the claim holds may have been given to others, which ends the run.
        Raises RateLimited, BudgetExceeded, and LimitsUnavailable where no answer of the store means no.
        """
        call = claim.admission()
        if call is None:
            return {}
        keys, arguments = call
        sent_at = now()
        reply: Any
        try:
            reply = await self._admission(keys, *arguments)
        except StateUnavailable as error:
            reply = error
        headers = claim.admitted(reply, sent_at)
        if claim.holds:
            self.leases.keep(claim, on_lost)
        return headers

    async def settle(self, claim: Claim, growth: Growth | None = None, *, over: bool = True) -> None:
        """Record what the run used and, when it is over, release what it holds. What cannot be recorded now is
        recorded later.

        With `growth`, reserve it for the run, which goes on; `claim.refusal` tells if that was not possible.
        """
        call = claim.settlement(over=over, growth=growth)
        if call is None:
            return
        keys, arguments = call
        try:
            reply = await self._settlement(keys, *arguments)
        except asyncio.CancelledError:
            if over:
                self.leases.settle_later(claim)
            raise
        except StateUnavailable as error:
            log.warning("limits.unsettled", run=claim.run, error=repr(error.__cause__))
            if over:
                self.leases.settle_later(claim)
            elif growth is not None:
                claim.unanswered()
            return
        if over:
            self.leases.drop(claim)
        for budget, key, share in claim.settled(reply, growth):
            log.warning("budget.nearly_used", budget=key, period=budget.period, used=round(share, 3))

    def tool_turn(self, principal: Principal, tool: str) -> AbstractAsyncContextManager[object]:
        """For a tool that a run calls."""
        return self.turn(principal, f"tool:{tool}", within_run=True)

    @asynccontextmanager
    async def turn(
        self, principal: Principal, operation: str, *, within_run: bool = False
    ) -> AsyncIterator[Mapping[str, str]]:
        """For what is short, such as a tool or a look at a session. Yields the headers; raises as `admit` does."""
        claim = self.claim(principal, operation, new_id(), within_run=within_run)
        headers = await self.admit(claim, _go_on)
        try:
            yield headers
        finally:
            self.leases.settle_later(claim)


def subject_of(principal: Principal) -> str:
    """What a user's limits and budgets are kept under. Callers who are not authenticated count by their address:
    any name they give may be made up."""
    if principal.authenticated:
        return f"user:{principal.user}"
    return f"address:{principal.address or 'unknown'}"


def places_of(principal: Principal) -> Places:
    """Where the principal is counted."""
    return Places(subject_of(principal), f"peer:{principal.peer}" if principal.peer else "")


def usage_name(principal: Principal) -> str:
    """What usage is kept under, as settle.lua takes it: names that may be made up are kept within their address's."""
    return principal.user if principal.authenticated else f"{subject_of(principal)} {principal.user}"


def _go_on(_: Exception) -> None:
    """What is short need not be ended."""

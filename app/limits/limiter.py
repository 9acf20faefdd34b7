"""The only door to limits, budgets and usage: asked before a run, told while it goes on and when it ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import lru_cache
from typing import Literal, NoReturn

from app.access.principal import Principal
from app.audit.audit import NO_AUDIT, Audit
from app.errors import AppError, LimitsUnavailable, StateUnavailable
from app.ids import new_id
from app.limits import budgets, tiers
from app.limits.allowance import Amount, Growth
from app.limits.calls import Call, Calls
from app.limits.checks import Checks, checks
from app.limits.headers import of_admission
from app.limits.heartbeat import Heartbeat, OnLost
from app.limits.model_rest import ModelRest
from app.limits.on_record import refusal
from app.limits.reservation import Early, Held, Reservation, now
from app.limits.scripts import ADMIT, SETTLE
from app.limits.usage import UsageBook
from app.limits.wire import Admission, Settlement, read_admission, read_settlement
from app.settings import Settings
from app.state.store import Script, Store
from app.telemetry.logs import log

CHAT, AGENT = "chat", "agent"
SESSIONS, USAGE, TOOLS, FEEDBACK, RUNS = "sessions", "usage", "tools", "feedback", "runs"
BATCHES = "batches"

Part = Literal["all", "rates", "work"]
"""Of what a run is checked against: its rates as it is asked for, the rest when it is worked on, or all at once."""

_NOTHING = (0, 0)
_CALLERS = 4096  # whose checks are kept ready


class Limiter:
    """Built once a process; `run` goes on in the background as long as the process lives, `close` ends it."""

    def __init__(self, settings: Settings, store: Store, audit: Audit = NO_AUDIT) -> None:
        """Raises ConfigurationError for LIMITS that cannot be read."""
        self._audit = audit
        self._limits = tiers.parse(settings.limits)
        self._fail = settings.limits_fail
        self._budgets = budgets.budgets(settings)
        self._anonymous_budgets = budgets.anonymous_budgets(settings)
        self._checks = lru_cache(_CALLERS)(self._checks_of)
        self._fullest = budgets.FullestBudgets()
        self._lease_seconds = settings.lease_seconds
        self._calls = Calls(settings.lease_seconds, settings.usage_days * 86_400)
        self._admission = Script(store, ADMIT)
        self._settlement = Script(store, SETTLE)
        self._heartbeat = Heartbeat(
            settings.lease_seconds / 3, renew=self.renew, settle=self._settle_ended, on_beat=self._fullest.beat
        )
        self.usage = UsageBook(store, self._budgets, self._anonymous_budgets)

    def reservation(
        self,
        principal: Principal,
        operation: str,
        run_id: str,
        most: Amount = (0, 0),
        first: Callable[[], Growth] | None = None,
        *,
        within_run: bool = False,
        model: ModelRest | None = None,
        counted: bool = False,
    ) -> Reservation:
        """For a run that may use at most so many tokens and nano-dollars. Nothing is asked of the store yet.

        `first` tells what it begins with, and is asked only where a budget has to be; without it, that is all of
        `most`. Where a budget is short, the run's allowance is smaller. `operation` is `chat`, `agent`, `tool:NAME` or
        one of READS; `within_run`: it is part of a run that was admitted. `model` is the one that the run asks
        first: it is told where its provider's limit stands in all processes. `counted`: its rates were, by `count`.
        """
        found = self._find_checks(principal, operation, most, within_run=within_run, part="work" if counted else "all")
        growth = first() if first is not None and found.budgets else Growth(most, most)
        return Reservation.begin(run_id, operation, found, growth, most, model)

    def resume(self, principal: Principal, held: Held) -> Reservation:
        """The reservation of a run that another process began, to be reserved here and then like any other."""
        return Reservation.resume(held, self._find_checks(principal, held.operation, held.most))

    async def count(self, principal: Principal, operation: str) -> Mapping[str, str]:
        """Count a run towards its caller's rates, and only there: it begins later, with a reservation whose rates are
        `counted`. Returns the headers. Raises RateLimited, and LimitsUnavailable."""
        return await self.reserve(self.counting(principal, operation), _go_on)

    def counting(self, principal: Principal, operation: str) -> Reservation:
        """What `count` asks, for whoever sends it together with other things: see `admission`."""
        found = self._find_checks(principal, operation, _NOTHING, part="rates")
        return Reservation.begin(new_id(), operation, found, Growth(_NOTHING, _NOTHING), _NOTHING)

    def admission(self, reservation: Reservation) -> Call | None:
        """The call of admit.lua for a run that begins, for whoever sends it together with other things; its reply is
        `early` for `admitted`, or for `reserve`. None: nothing has to be asked."""
        return self._calls.admission(reservation) if reservation.checks.asks else None

    def early(self, admission: Admission, sent_at: float) -> Early:
        """The reply to a call that was sent then, by time.monotonic()."""
        return Early(admission, sent_at + self._lease_seconds)

    def admitted(self, reservation: Reservation, early: Early) -> Mapping[str, str]:
        """The headers, of an admission that this was the reply to. Raises RateLimited, and BudgetExceeded."""
        try:
            reservation.admitted(early.admission, early.lease_ends_at)
        except AppError as error:
            self._note(reservation, error)
            raise
        if reservation.earlier is not None:
            return {}
        self._observe(reservation, early.admission)
        return of_admission(reservation.checks, early.admission)

    async def reserve(self, reservation: Reservation, on_lost: OnLost) -> Mapping[str, str]:
        """Admit the run, or take over what it holds. Returns headers that tell the caller where they stand.

        `on_lost` is called when what it holds may have been given to others, which ends the run.
        Raises RateLimited, BudgetExceeded, and LimitsUnavailable where no answer of the store means no.
        """
        asked = reservation.checks
        if not asked.asks:
            return {}
        headers: Mapping[str, str] = {}
        try:
            early = reservation.early or await self._ask(reservation)
        except StateUnavailable as error:
            if asked.required:
                raise LimitsUnavailable from error
            reservation.go_without()
        else:
            headers = self.admitted(reservation, early)
        if asked.holds:
            self._heartbeat.keep(reservation, on_lost)
        return headers

    async def _ask(self, reservation: Reservation) -> Early:
        calls, lease_ends_at = self._calls, now() + self._lease_seconds
        if reservation.earlier is not None:
            keys, arguments = calls.renewal(reservation, resumes=True)
        else:
            keys, arguments = calls.admission(reservation)
        return Early(await self._admission(keys, *arguments, read=read_admission), lease_ends_at)

    def refuse(self, reservation: Reservation) -> NoReturn:
        """Raise what refused the run's growth, for its caller."""
        try:
            reservation.refuse()
        except AppError as error:
            self._note(reservation, error, reservation.run_id)
            raise

    async def renew(self, reservation: Reservation) -> None:
        """Keep what the run holds for another lease. Raises what refuses the run, or StateUnavailable."""
        keys, arguments = self._calls.renewal(reservation)
        lease_ends_at = now() + self._lease_seconds
        reservation.renewed(await self._admission(keys, *arguments, read=read_admission), lease_ends_at)

    async def settle(self, reservation: Reservation, growth: Growth | None = None, *, over: bool = True) -> None:
        """Record what the run used and, when it is over, release what it holds. What cannot be recorded now is
        recorded later.

        With `growth`, reserve it for the run, which goes on; its `refusal` tells if that was not possible.
        """
        reservation.ended = reservation.ended or over
        if not self._settles(reservation):
            return
        keys, arguments = self._calls.settlement(reservation, growth)
        steps = len(reservation.steps)
        try:
            settlement: Settlement = await self._settlement(keys, *arguments, read=read_settlement)
        except asyncio.CancelledError:
            if over:
                self._heartbeat.settle_later(reservation)
            raise
        except StateUnavailable as error:
            log.warning("limits.unsettled", run_id=reservation.run_id, error=repr(error.__cause__))
            if over:
                self._heartbeat.settle_later(reservation)
            elif growth is not None:
                reservation.not_grown()
            return
        if over:
            self._heartbeat.drop(reservation)
        self._settled(reservation, settlement, steps, growth)

    def settle_later(self, reservation: Reservation) -> None:
        """As `settle`, in the background: for a run that was cancelled."""
        reservation.ended = True
        if self._settles(reservation):
            self._heartbeat.settle_later(reservation)

    def settlement(self, reservation: Reservation, growth: Growth | None, until: int, *, over: bool) -> Call | None:
        """The call of settle.lua for the first `until` steps that were recorded here, for whoever sends it together
        with other things; its reply is for `settled`. None: there is nothing to record, to reserve or to release."""
        reservation.ended = reservation.ended or over
        unsettled = until > reservation.sent and (self._calls.records or reservation.checks.holds)
        if not (unsettled or growth is not None or (over and self._settles(reservation))):
            return None
        return self._calls.settlement(reservation, growth, until)

    def settled(self, reservation: Reservation, reply: Settlement | None, growth: Growth | None, until: int) -> None:
        """What was sent is recorded; the `reply` is None if nothing had to be."""
        if reservation.ended:
            self._heartbeat.drop(reservation)
        if reply is None:
            reservation.recorded(until)
        else:
            self._settled(reservation, reply, until, growth)

    def leave(self, reservation: Reservation) -> None:
        """What the run holds is another process's to renew and to settle from now on."""
        self._heartbeat.drop(reservation)
        reservation.ended = reservation.settled = True

    def tool_slot(self, principal: Principal, tool: str) -> AbstractAsyncContextManager[object]:
        """For a tool that a run calls. Raises as `reserve` does."""
        return self.slot(principal, f"tool:{tool}", within_run=True)

    @asynccontextmanager
    async def slot(
        self, principal: Principal, operation: str, *, within_run: bool = False
    ) -> AsyncIterator[Mapping[str, str]]:
        """For what is short, such as a tool or a look at a session. Yields the headers; raises as `reserve` does."""
        reservation = self.reservation(principal, operation, new_id(), within_run=within_run)
        headers = await self.reserve(reservation, _go_on)
        try:
            yield headers
        finally:
            self.settle_later(reservation)

    async def run(self) -> None:
        """Renew and settle in the background until cancelled."""
        await self._heartbeat.run()

    async def close(self) -> None:
        """Settle the runs that were just ended, if that takes no more than a moment."""
        await self._heartbeat.close()

    def budgets_of(self, principal: Principal, most: Amount) -> Checks:
        """What something without rates is checked against that goes on for hours, holds what it may cost by scripts
        of its own, and tells `observe` what they replied."""
        return self._find_checks(principal, BATCHES, most, within_run=True)

    def observe(self, reservation: Reservation, settlement: Settlement) -> None:
        """Have the log and the metrics know of a settlement."""
        if settlement.budgets:
            self._observe(reservation, settlement)
            for budget, name, share in reservation.crossed(settlement):
                log.warning("budget.nearly_used", budget=name, period=budget.period, used=round(share, 3))

    def _note(self, reservation: Reservation, error: AppError, run_id: str = "") -> None:
        if (entry := refusal(reservation, error, run_id=run_id)) is not None:
            self._audit.note(entry)

    def _settles(self, reservation: Reservation) -> bool:
        """Whether there is something to record or to release."""
        if reservation.settled:
            return False
        unrecorded = self._calls.records and len(reservation.steps) > reservation.sent
        return reservation.checks.holds or unrecorded or reservation.unmade

    async def _settle_ended(self, reservation: Reservation) -> None:
        """For the heartbeat. Raises StateUnavailable."""
        keys, arguments = self._calls.settlement(reservation)
        steps = len(reservation.steps)
        self._settled(reservation, await self._settlement(keys, *arguments, read=read_settlement), steps)

    def _settled(
        self, reservation: Reservation, settlement: Settlement, steps: int, growth: Growth | None = None
    ) -> None:
        reservation.recorded(steps)
        if growth is not None:
            reservation.grown(settlement, growth)
        self.observe(reservation, settlement)

    def _observe(self, reservation: Reservation, reply: Admission | Settlement) -> None:
        for budget, share in reservation.shares(reply.budgets) if reply.budgets else ():
            self._fullest.observe(budget.scope, share)

    def _find_checks(
        self, principal: Principal, operation: str, most: Amount, *, within_run: bool = False, part: Part = "all"
    ) -> Checks:
        return self._checks(
            principal.authenticated,
            principal.user,
            principal.address,
            principal.peer,
            principal.team,
            principal.tier,
            operation,
            within_run,
            most[0] > 0,
            most[1] > 0,
            part,
        )

    def _checks_of(
        self,
        authenticated: bool,
        user: str,
        address: str,
        peer: str,
        team: str | None,
        tier: str,
        operation: str,
        within_run: bool,
        tokens: bool,
        nanos: bool,
        part: Part,
    ) -> Checks:
        """By all that they depend on: a principal would be hashed field by field, and has more of them."""
        principal = Principal(user, team, tier, address=address, peer=peer, authenticated=authenticated)
        rules = tiers.rules(self._limits, tier, operation, within_run=within_run, peered=bool(peer))
        own = self._budgets if authenticated else self._anonymous_budgets
        if part == "rates":
            rules, own = replace(rules, concurrent=()), ()
        elif part == "work":
            rules = replace(rules, rates=())
        return checks(principal, operation, rules, own, (int(tokens), int(nanos)), self._fail)


def _go_on(_: Exception) -> None:
    """Does nothing: what is short need not be ended."""

"""A run's reservation: what it holds of its limits and budgets, what it has used, and which of that is settled."""

import time
from collections.abc import Iterator, Sequence
from typing import NoReturn, Self

from msgspec import Struct

from app.errors import AppError, BudgetExceeded, LimitsUnavailable, RateLimited
from app.limits.allowance import Allowance, Amount, Growth
from app.limits.budgets import WARN_AT, Budget
from app.limits.checks import Checks
from app.limits.model_rest import ModelRest
from app.limits.wire import Admission, Settlement, Spent, refused
from app.messages import NANOS, Usage
from app.telemetry import metrics

Step = tuple[int, str, int, int, int, int, int, int, int, int]
"""As settle.lua takes it: number, model, input, output, cache read, cache write tokens, nanos, estimated tokens; then
the tokens and nanos that shared budgets are charged."""

_NOTHING = (0, 0)


class Held(Struct, frozen=True):
    """A reservation as a value, from which another process makes one that it can renew and settle."""

    run_id: str
    operation: str
    most: Amount
    """What the run's own limits allow it in all."""
    steps: int = 0
    """How many of its steps are settled. A step that is recorded again under its number counts once."""
    spent: Amount = _NOTHING
    """By these steps."""
    day: str = ""
    """UTC, when the run was admitted: its budgets are those of this day. Empty: today."""


class Early(Struct, frozen=True):
    """The store's answer to an admission that was sent together with other things."""

    admission: Admission
    lease_ends_at: float
    """As `expires_at`."""


class Reservation(Struct, eq=False):
    """One run's. Made by Limiter.reservation and Limiter.resume; `run_id` is unique."""

    run_id: str
    operation: str
    checks: Checks
    allowance: Allowance
    least: Amount
    """With which the run can begin where a budget is short."""
    most: Amount
    """What its own limits allow it in all."""
    day: str = ""
    """UTC, when it was admitted."""
    steps: list[Step] = []
    """Recorded in this process."""
    sent: int = 0
    """How many of these the store has settled."""
    earlier: Held | None = None
    """What another process was admitted with, where this one goes on."""
    early: Early | None = None
    """It was asked about before it is to be reserved."""
    tight: bool = False
    """Whether a budget had less than was wanted."""
    refusal: AppError | None = None
    """Of the last growth; not counted."""
    expires_at: float = 0.0
    """time.monotonic() from which on others may have been given what this holds."""
    degraded: bool = False
    """Whether it was admitted without the store's answer."""
    model: ModelRest | None = None
    """The model that the run asks first."""
    counted: bool = False
    """Whether a request to it was counted at the admission."""
    ended: bool = False
    settled: bool = False
    """Ended, and nothing is left to settle."""

    @classmethod
    def begin(
        cls,
        run_id: str,
        operation: str,
        checks: Checks,
        first: Growth,
        most: Amount,
        model: ModelRest | None = None,
    ) -> Self:
        """For a run that begins with `first`, of the `most` that its own limits allow."""
        allowance = Allowance(*(first.wanted if checks.budgets else most), *most)
        return cls(run_id, operation, checks, allowance, first.least, most, model=model)

    @classmethod
    def resume(cls, held: Held, checks: Checks) -> Self:
        """What another process held; the store tells how much of it there still is."""
        left = (max(0, held.most[0] - held.spent[0]), max(0, held.most[1] - held.spent[1]))
        allowance = Allowance(*(_NOTHING if checks.budgets else left), *left)
        return cls(held.run_id, held.operation, checks, allowance, _NOTHING, held.most, held.day, earlier=held)

    @property
    def held(self) -> Held:
        """What another process needs to go on with it. Steps that are not settled are not in it."""
        before = self.earlier or Held(self.run_id, self.operation, self.most)
        settled = self.steps[: self.sent]
        tokens = before.spent[0] + sum(read + written for _, _, read, written, *_ in settled)
        nanos = before.spent[1] + sum(step[6] for step in settled)
        day = "" if self.ended else self.day
        return Held(self.run_id, self.operation, self.most, before.steps + self.sent, (tokens, nanos), day)

    @property
    def unsettled(self) -> Sequence[Step]:
        return self.steps[self.sent :] if self.sent else self.steps

    @property
    def unmade(self) -> bool:
        """Whether the run is over without the request to its model that was counted."""
        model = self.model
        return self.ended and self.counted and model is not None and all(step[1] != model.ref for step in self.steps)

    def record(
        self, model: str, usage: Usage, cost_usd: float, *, uncertain: bool = False, shared: Amount | None = None
    ) -> None:
        """A model call's use, to be settled with the next settlement. `uncertain`: nobody counted it; `shared`: what
        budgets are charged that the caller shares with others, where that is less."""
        nanos = round(cost_usd * NANOS)
        total = usage.total
        self.allowance.spend(total, nanos)
        self.steps.append(
            (
                len(self.steps) + 1 if self.earlier is None else self.earlier.steps + len(self.steps) + 1,
                model,
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                nanos,
                total if uncertain else 0,
                *(shared or (total, nanos)),
            )
        )

    def admitted(self, admission: Admission, lease_ends_at: float) -> None:
        """The store's answer to a run that begins, or goes on here. Raises the refusal."""
        if admission.refusal is not None:
            self.settled = self.earlier is None  # what another process has used is still to be recorded
            self.refusal = refused(admission.refusal, self.checks)
            self.refuse()
        self.expires_at = lease_ends_at
        self.day = admission.day
        if self.model is not None and (rest := admission.rest) is not None:
            if rest.wait_ms:
                self.model.told(rest.wait_ms / 1000, rest.reason)
            self.counted = not rest.wait_ms
        if self.checks.budgets:
            self._hold(admission.tokens, admission.nanos, (self.allowance.tokens, self.allowance.nanos))

    def go_without(self) -> None:
        """The store did not answer the admission, and the run need not wait for that."""
        self.degraded = True
        self.allowance.release()

    def renewed(self, admission: Admission, lease_ends_at: float) -> None:
        """The store's answer to a renewal. Raises the refusal if others were given what the run held."""
        if admission.refusal is not None:
            raise refused(admission.refusal, self.checks)
        if not admission.ended:
            self.expires_at = lease_ends_at
            self.day = self.day or admission.day  # admitted without the store, which is back

    def recorded(self, steps: int) -> None:
        """The store has settled so many steps in all: they are not sent again."""
        self.sent = steps
        self.settled = self.ended

    def grown(self, settlement: Settlement, growth: Growth) -> None:
        """The store's answer to a settlement that asked for more."""
        self.refusal = None if settlement.refusal is None else refused(settlement.refusal, self.checks)
        if settlement.held_tokens is not None and settlement.held_nanos is not None:
            self._hold(settlement.held_tokens, settlement.held_nanos, growth.wanted)

    def not_grown(self) -> None:
        """The store did not answer a settlement that asked for more."""
        if self.checks.required:
            self.refusal = LimitsUnavailable()
        else:
            self.allowance.release()

    def refuse(self) -> NoReturn:
        """Raise what refused the run, for its caller: it is counted."""
        error = self.refusal or LimitsUnavailable()
        match error:
            case RateLimited(scope=scope):
                metrics.RATE_LIMITED.labels(scope).inc()
            case BudgetExceeded(scope=scope):
                metrics.BUDGET_EXCEEDED.labels(scope).inc()
        raise error

    def shares(self, spent: Sequence[Spent]) -> Iterator[tuple[Budget, float]]:
        """Each budget with the share that is spent of it."""
        for budget, amount in zip(self.checks.budgets, spent, strict=True):
            yield budget, budget.used(amount.tokens, amount.nanos)

    def crossed(self, settlement: Settlement) -> Iterator[tuple[Budget, str, float]]:
        """Budgets that a settlement has brought above the share to warn at, with their names."""
        for (budget, share), name, spent in zip(
            self.shares(settlement.budgets), self.checks.names, settlement.budgets, strict=True
        ):
            tokens, nanos = settlement.counted_in(budget)
            before = budget.used(spent.tokens - tokens, spent.nanos - nanos)
            if share >= WARN_AT > before:
                yield budget, name, share

    def _hold(self, tokens: int, nanos: int, wanted: Amount) -> None:
        self.tight = tokens < wanted[0] or nanos < wanted[1]
        self.allowance.tokens, self.allowance.nanos = tokens, nanos


def now() -> float:
    """The clock of `expires_at`."""
    return time.monotonic()

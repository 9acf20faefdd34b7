"""A call that its caller left: the caller's own budget pays all of its estimate, shared ones what was done by then."""

import pytest

from app.access.principal import Principal
from app.limits.limiter import Limiter
from app.limits.usage import Standing
from app.messages import NANOS, Usage
from tests.limits.conftest import MakeLimiter
from tests.limits.stage import reserve
from tests.logged import capture_logs

CORE_ADA = Principal("ada", team="core", authenticated=True)
BUDGETS = {
    "budget_user_day_tokens": 1000,
    "budget_team_month_tokens": 1000,
    "budget_global_day_tokens": 1000,
    "budget_user_day_usd": 1.0,
    "budget_team_month_usd": 1.0,
    "budget_global_day_usd": 1.0,
}


async def standings(limiter: Limiter) -> dict[str, Standing]:
    every = [*await limiter.usage.standings(CORE_ADA), *await limiter.usage.global_standings()]
    return {one.budget: one for one in every}


async def test_shared_budgets_are_charged_the_part_that_was_done(limiter: MakeLimiter) -> None:
    made = limiter(**BUDGETS)
    reservation = await reserve(made, "a", 0.5, tokens=500, principal=CORE_ADA)
    reservation.record("m", Usage(300, 10), 0.4, uncertain=True, shared=(12, round(0.01 * NANOS)))
    reservation.record("m", Usage(30, 10), 0.05)
    await made.settle(reservation)
    found = await standings(made)
    assert {name: (one.tokens.spent, one.usd.spent) for name, one in found.items()} == {
        "user": (350, 0.45),
        "team": (52, 0.06),
        "global": (52, 0.06),
    }
    assert not any(one.tokens.reserved or one.usd.reserved for one in found.values())
    [row] = await made.usage.of_user("ada", 1)
    assert (row.input_tokens, row.uncertain_tokens, row.cost_usd) == (330, 310, 0.45)


async def test_a_run_that_goes_on_has_used_what_it_has_used(limiter: MakeLimiter) -> None:
    made = limiter(**BUDGETS)
    reservation = await reserve(made, "a", 0.5, tokens=500, principal=CORE_ADA)
    reservation.record("m", Usage(300, 10), 0.4, uncertain=True, shared=(12, 1))
    await made.settle(reservation, over=False)
    found = await standings(made)
    assert {name: one.tokens.reserved for name, one in found.items()} == {"user": 190, "team": 190, "global": 190}


@pytest.mark.parametrize(("shared", "warned"), [((10, 0), ["user"]), (None, ["user", "team", "global"])])
async def test_each_budget_is_warned_of_by_what_it_was_charged(
    limiter: MakeLimiter, shared: tuple[int, int] | None, warned: list[str]
) -> None:
    made = limiter(**{name: most for name, most in BUDGETS.items() if "tokens" in name})
    for run in ("a", "b"):
        reservation = await reserve(made, run, 0, tokens=450, principal=CORE_ADA)
        with capture_logs() as logs:
            reservation.record("m", Usage(450), 0, uncertain=True, shared=shared)
            await made.settle(reservation)
    names = [line["budget"].removeprefix("budget:").split(":")[0] for line in logs if "nearly" in line["event"]]
    assert names == warned

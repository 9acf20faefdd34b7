"""Numbers that make no sense stop the start, with the name of the setting."""

from dataclasses import asdict

import pytest

from app.errors import ConfigurationError
from app.limits import tiers
from app.limits.budgets import NO_LIMIT, Budget, budgets
from app.messages import NANOS
from app.settings import load
from tests.limits.stage import parse


@pytest.mark.parametrize("number", [-1, 0, 1_000_001, 10**30, 1.5, "60", True, None.__class__.__name__])
@pytest.mark.parametrize("which", ["per_minute", "concurrent"])
def test_a_limit_is_a_whole_number_from_one_to_a_million(number: object, which: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"LIMITS: tiers\.gold\.user\.{which}: "):
        parse({"tiers": {"gold": {"user": {which: number}}}})


@pytest.mark.parametrize(
    ("limits", "place"),
    [
        ("{", "the text"),
        ("[]", "the text"),
        ('{"global": 7}', "global"),
        ('{"globl": {}}', "globl"),
        ('{"tiers": {"gold": {"users": {}}}}', "tiers.gold.users"),
        ('{"tiers": {"no good": {}}}', "tiers.no good"),
        ('{"tiers": {"gold": {"tools": {"clock": {"per_hour": 1}}}}}', "tiers.gold.tools.clock.per_hour"),
    ],
)
def test_what_cannot_be_read_is_named(limits: str, place: str) -> None:
    with pytest.raises(ConfigurationError, match=f"LIMITS: {place}"):
        parse(limits)


def test_nothing_is_no_limits() -> None:
    assert parse("") == parse("{}") == tiers.Limits()
    rules = tiers.rules(tiers.Limits(), "default", "chat")
    assert (rules.rates, rules.concurrent, rules.policies) == ((), (), "")


def test_a_tool_has_its_own_limit_or_that_of_the_star() -> None:
    tier = parse({"tiers": {"default": {"tools": {"a": {"per_minute": 1}, "*": {"per_minute": 2}}}}}).tier("default")
    assert (tier.of("tool:a").per_minute, tier.of("tool:b").per_minute) == (1, 2)
    assert tiers.Tier().of("tool:b") == tiers.Limit()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget_user_day_usd", -1),
        ("budget_user_day_usd", 0),
        ("budget_team_month_usd", 1e30),
        ("budget_global_day_usd", "nan"),
        ("budget_global_day_usd", "inf"),
        ("budget_global_day_usd", "none"),
        ("budget_user_day_tokens", -5),
        ("budget_user_day_tokens", 1.5),
        ("budget_team_month_tokens", 10**30),
        ("budget_global_day_tokens", "many"),
        ("max_cost_usd", 0),
        ("max_cost_usd", -0.5),
        ("max_cost_usd", "inf"),
        ("max_run_tokens", 0),
        ("max_run_tokens", 10**18),
        ("limits_fail", "ajar"),
        ("lease_seconds", 0),
        ("lease_seconds", 61),
        ("usage_days", -1),
        ("usage_days", 10_000),
    ],
)
def test_a_number_out_of_bounds_names_its_setting(name: str, value: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name.upper(), str(value))
    with pytest.raises(ConfigurationError, match=f"^{name.upper()}: "):
        load(None)


def test_by_default_there_is_one_budget() -> None:
    [budget] = budgets(load(None))
    assert asdict(budget) == asdict(Budget("global", "day", NO_LIMIT, 100 * NANOS))


def test_a_budget_can_be_switched_off() -> None:
    assert budgets(load(None, budget_global_day_usd="off")) == ()


def test_budgets_are_asked_from_the_narrowest_on() -> None:
    found = budgets(load(None, budget_team_month_tokens=5, budget_user_day_usd=0.000000001))
    assert [budget.scope for budget in found] == ["user", "team", "global"]
    assert found[0].nanos == 1

"""How often and for how much: the values become the settings that the service reads."""

import json
from typing import Any

import pytest

from app.limits import budgets, tiers
from app.messages import NANOS
from app.settings import Settings, load
from tests.chart.conftest import Render, RenderError
from tests.chart.values import LIMITS


def test_by_default_only_the_budget_of_all_is_set(render: Render) -> None:
    rendered = render()
    assert not [name for name in rendered.settings() if name.startswith("LIMITS")]
    assert [(one.scope, one.period, one.nanos) for one in budgets.budgets(rendered.read())] == [
        ("global", "day", 100 * NANOS)
    ]


def test_defaults_are_those_of_the_service(render: Render) -> None:
    ours, own = render().read(), load(None)
    for name in ("lease_seconds", "usage_days", "max_cost_usd", "max_run_tokens", "max_iterations", "limits_fail"):
        assert getattr(ours, name) == getattr(own, name), name
    for name in Settings.model_fields:
        if name.startswith("budget_"):
            assert getattr(ours, name) == getattr(own, name), name


def test_limits_reach_the_service(render: Render) -> None:
    limits = tiers.parse(render(limits=LIMITS).read().limits)
    assert limits.everyone == tiers.Limit(per_minute=1_000_000)
    default = limits.tier("default")
    assert default.user == tiers.Limit(per_minute=60, concurrent=4)
    assert default.chat == tiers.Limit(per_minute=30)
    assert default.of("tool:clock") == tiers.Limit(concurrent=1)
    assert default.of("tool:calculator") == tiers.Limit(per_minute=20)
    assert limits.tier("gold").agent == tiers.Limit(concurrent=100)


def test_one_limit_alone(render: Render) -> None:
    rendered = render(limits={"global": {"concurrent": 50}})
    assert json.loads(rendered.settings()["LIMITS"]) == {"global": {"concurrent": 50}}


def test_budgets_reach_the_service(render: Render) -> None:
    rendered = render(
        budgets={
            "userDay": {"usd": 0.25, "tokens": 1_000_000_000_000},
            "teamMonth": {"usd": 1_000_000, "tokens": 5},
            "globalDay": {"usd": 12.5, "tokens": 7_000_000},
        }
    )
    settings = rendered.read()
    assert settings.budget_user_day_usd == 0.25
    assert settings.budget_user_day_tokens == 1_000_000_000_000
    assert settings.budget_team_month_usd == 1_000_000
    assert settings.budget_team_month_tokens == 5
    assert settings.budget_global_day_usd == 12.5
    assert settings.budget_global_day_tokens == 7_000_000
    assert "e+" not in str(rendered.settings())


def test_a_budget_of_0_is_none(render: Render) -> None:
    settings = render(budgets={"globalDay": {"usd": 0}}).read()
    assert settings.budget_global_day_usd is None
    assert budgets.budgets(settings) == ()


def test_the_limits_of_a_run_and_the_rest(render: Render) -> None:
    rendered = render(
        maxCostUsd=0.05, maxRunTokens=100_000_000, maxIterations=3, limitsFail="closed", leaseSeconds=12.5, usageDays=0
    )
    settings = rendered.read()
    assert settings.max_cost_usd == 0.05
    assert settings.max_run_tokens == 100_000_000
    assert settings.max_iterations == 3
    assert settings.limits_fail == "closed"
    assert settings.lease_seconds == 12.5
    assert settings.usage_days == 0


@pytest.mark.parametrize(
    "values",
    [
        {"limits": {"global": {"perMinute": 0}}},
        {"limits": {"global": {"perMinute": -1}}},
        {"limits": {"global": {"perMinute": 1.5}}},
        {"limits": {"global": {"perMinute": 10**7}}},
        {"limits": {"global": {"per_minute": 5}}},
        {"limits": {"tiers": {"default": {"chats": {}}}}},
        {"limits": {"tiers": {"two words": {}}}},
        {"limits": {"tiers": {"default": {"tools": {"a b": {"perMinute": 1}}}}}},
        {"limits": {"tiers": {"default": {"user": 5}}}},
        {"limitsFail": "ajar"},
        {"budgets": {"userDay": {"usd": -1}}},
        {"budgets": {"userDay": {"tokens": 1.5}}},
        {"budgets": {"userDay": {"usd": "1"}}},
        {"budgets": {"userMonth": {"usd": 1}}},
        {"leaseSeconds": 0},
        {"leaseSeconds": 61},
        {"usageDays": 401},
        {"maxCostUsd": 0},
        {"trustedProxies": ["proxy.example"]},
    ],
    ids=str,
)
def test_the_schema_refuses(render: Render, values: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match="don't meet the specifications"):
        render(**values)


COUNTED = [
    ("limits", {"limits": LIMITS}),
    ("budgets", {"budgets": {"userDay": {"tokens": 5}}}),
    ("budgets", {"budgets": {"globalDay": {"tokens": 5}}}),
    ("limits and budgets", {"limits": LIMITS, "budgets": {"teamMonth": {"usd": 5}}}),
]
SEVERAL: list[dict[str, Any]] = [{"replicaCount": 2}, {"autoscaling": {"enabled": True}}]


@pytest.mark.parametrize("pods", SEVERAL, ids=lambda pods: next(iter(pods)))
@pytest.mark.parametrize(("what", "values"), COUNTED, ids=[what for what, _ in COUNTED])
def test_what_is_counted_needs_redis_where_there_are_several_pods(
    render: Render, what: str, values: dict[str, Any], pods: dict[str, Any]
) -> None:
    sentence = f"{what}: several pods are asked for and there is no Redis.*set redis.existingSecret"
    with pytest.raises(RenderError, match=sentence):
        render(**values, **pods)
    assert render(**values, **pods, redis={"existingSecret": "redis"}).one("Deployment")
    assert render(**values, **pods, extraEnv=[{"name": "REDIS_URL", "value": "redis://a"}]).one("Deployment")
    assert render(**values).one("Deployment")


@pytest.mark.parametrize("pods", SEVERAL, ids=lambda pods: next(iter(pods)))
def test_several_pods_without_redis_are_possible_where_nothing_is_counted(render: Render, pods: dict[str, Any]) -> None:
    """The notes then warn of it."""
    assert render(**pods).one("Deployment")

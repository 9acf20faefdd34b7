"""The headers that tell callers where they stand: RateLimit, RateLimit-Policy, X-Budget-Used.

The first two are those of draft-ietf-httpapi-ratelimit-headers-11.
"""

from collections.abc import Mapping
from math import ceil

from app.errors import RateLimited
from app.limits.budgets import WARN_AT
from app.limits.checks import Checks
from app.limits.wire import Admission

LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy", "X-Budget-Used")


def of_admission(checks: Checks, admission: Admission) -> dict[str, str]:
    """What is left of the limits that are shown, and which budgets are nearly used."""
    headers = _rate_limit(checks, admission) if checks.rules.policies else {}
    used = [
        f"{budget.scope}={share:.2f}"
        for budget, spent in zip(checks.budgets, admission.budgets, strict=True)
        if (share := budget.used(spent.tokens, spent.nanos)) >= WARN_AT
    ]
    if used:
        headers["X-Budget-Used"] = ", ".join(used)
    return headers


def of_refusal(error: RateLimited) -> Mapping[str, str]:
    """The limit that is reached; none where it is not the caller's to know."""
    if not error.shown:
        return {}
    return {
        "RateLimit-Policy": error.policies,
        "RateLimit": f'"{error.policy}";r=0;t={int(error.retry_after or 0)}',
    }


def _rate_limit(checks: Checks, admission: Admission) -> dict[str, str]:
    rules = checks.rules
    left = [
        f'"{rule.policy}";r={rate.left};t={ceil(rate.resets_ms / 1000)}'
        for rule, rate in zip(rules.rates, admission.rates, strict=True)
        if rule.shown
    ]
    left += [
        f'"{rule.policy}";r={places}'
        for rule, places in zip(rules.concurrent, admission.running, strict=True)
        if rule.shown
    ]
    return {"RateLimit-Policy": rules.policies, "RateLimit": ", ".join(left)}

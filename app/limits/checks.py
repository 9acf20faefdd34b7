"""What an operation of a caller is checked against, and the keys under which that is counted.

All keys share one hash tag, because one script asks for a caller's rates, runs and budgets and for those of everybody
together: in a cluster, limits are one slot, on one node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from app.access.principal import Principal
from app.limits.budgets import Budget
from app.limits.subject import subject_of, usage_name
from app.limits.tiers import Rule, Rules

TAG = "{limits}:"
"""How every key of limits, budgets and usage begins."""

USAGE_KEY = f"{TAG}usage"


@dataclass(frozen=True, slots=True, eq=False)
class Checks:
    """The rules and budgets of one operation of one caller. Made once for many runs."""

    caller: Principal
    """As far as limits are concerned."""
    user: str
    """As usage is kept under."""
    rules: Rules
    rate_keys: tuple[str, ...]
    running_keys: tuple[str, ...]
    budgets: tuple[Budget, ...]
    names: tuple[str, ...]
    """Of the budgets, as the log has them."""
    budget_keys: tuple[str, ...]
    """Without the period."""
    units: str
    """The periods of the budgets, as settle.lua takes them: with a `+` for those that are shared."""
    settled_keys: tuple[str, ...]
    """Of a settlement, behind the run's mark."""
    required: bool
    """Whether a run may not go on when the store does not answer."""
    holds: bool
    """Whether a run holds something that has to be renewed."""
    asks: bool
    """Whether there is anything to ask before a run."""


def checks(
    principal: Principal,
    operation: str,
    rules: Rules,
    budgets: Sequence[Budget],
    most: tuple[int, int],
    fail: str | None,
) -> Checks:
    """`most` are the tokens and nano-dollars that a run may use; budgets that do not limit these are left out.

    `fail` is LIMITS_FAIL.
    """
    subject = subject_of(principal)
    asked = [
        (budget, name)
        for budget in budgets
        if budget.concerns(*most) and (name := budget.name(subject, principal)) is not None
    ]
    peer = f"peer:{principal.peer}"
    running_keys = _keys("running", rules.concurrent, subject, peer, operation)
    budget_keys = tuple([TAG + name for _, name in asked])
    return Checks(
        caller=principal,
        user=usage_name(principal),
        rules=rules,
        rate_keys=_keys("rate", rules.rates, subject, peer, operation),
        running_keys=running_keys,
        budgets=tuple([budget for budget, _ in asked]),
        names=tuple([name for _, name in asked]),
        budget_keys=budget_keys,
        units=" ".join([budget.period + "+" * budget.shared for budget, _ in asked]),
        settled_keys=(*running_keys, *budget_keys, USAGE_KEY),
        required=(fail or ("closed" if asked else "open")) == "closed",
        holds=bool(rules.concurrent or asked),
        asks=bool(rules.rates or rules.concurrent or asked),
    )


def mark_key(run_id: str) -> str:
    """Where it is kept which steps of a run are settled."""
    return f"{TAG}mark:{run_id}"


def _keys(kind: str, rules: Sequence[Rule], subject: str, peer: str, operation: str) -> tuple[str, ...]:
    """Where the rules are counted; `kind` is `rate` or `running`."""
    names = {
        "global": "global",
        "user": subject,
        "operation": f"{subject}:{operation}",
        "peer": peer,
        "peer-operation": f"{peer}:{operation}",
    }
    return tuple([f"{TAG}{kind}:{names[rule.scope]}" for rule in rules])

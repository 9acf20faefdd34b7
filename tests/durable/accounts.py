"""What is left on the books when all runs are over."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any


def usage_faults(usage: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    """Tokens that /usage has and no answer, or the reverse, beyond estimates for calls that were cut."""
    rows = usage["usage"]
    counted = sum(row["input_tokens"] + row["output_tokens"] for row in rows)
    uncertain = sum(row["uncertain_tokens"] for row in rows)
    answered = sum(record["answer"]["tokens_used"] for record in records if record.get("answer"))
    if answered <= counted <= answered + uncertain:
        return []
    return [f"answers {answered:,}, /usage {counted:,}, of which {uncertain:,} are uncertain"]


def budget_faults(usage: Mapping[str, Any]) -> Sequence[str]:
    """Budgets of which something is still reserved, or of which other amounts are spent than /usage has."""
    rows = usage["usage"]
    tokens = sum(row["input_tokens"] + row["output_tokens"] for row in rows)
    usd = sum(Decimal(str(row["cost_usd"])) for row in rows)
    found = []
    for budget in usage["budgets"]:
        reserved = budget["tokens"]["reserved"], budget["usd"]["reserved"]
        if any(reserved):
            found.append(f"{budget['budget']}: reserved {reserved}")
        spent = budget["tokens"]["spent"], Decimal(str(budget["usd"]["spent"]))
        if spent != (tokens, usd):
            found.append(f"{budget['budget']}: spent {spent}, /usage {(tokens, usd)}")
    return found or ([] if usage["budgets"] else ["there is no budget"])

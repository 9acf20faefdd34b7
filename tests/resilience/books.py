"""What four parties count of the same calls: the provider, /metrics, /usage and the answers."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.resilience.asking import Outcome
from tests.resilience.provider import Provider
from tests.service import Service

NANOS_IN, NANOS_OUT = 1_000, 2_000
"""Prices of a token, as PRICE gives them."""

PRICE = {"input": 1, "output": 2}
_SERIES = re.compile(r"(\w+)\{(.*)\}")
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def summed(services: Iterable[Service], name: str, **labels: str) -> float:
    """The sum over these services' series of that name with these labels."""
    total = 0.0
    for service in services:
        for series, value in service.metrics().items():
            found = _SERIES.fullmatch(series)
            if found and found[1] == name and labels.items() <= dict(_LABEL.findall(found[2])).items():
                total += value
    return total


@dataclass(frozen=True)
class Count:
    """Tokens of one model that somebody counted, and those that nobody did."""

    input: int
    output: int
    uncertain: int


def by_provider(provider: Provider, model: str) -> tuple[int, int]:
    account = provider.accounts[model]
    return account.told_input, account.told_output


def by_metrics(services: Sequence[Service], ref: str) -> Count:
    def tokens(name: str, kind: str) -> int:
        return int(summed(services, name, model=ref, type=kind))

    uncertain = sum(tokens("agent_uncertain_tokens_total", kind) for kind in ("input", "output"))
    return Count(tokens("agent_tokens_total", "input"), tokens("agent_tokens_total", "output"), uncertain)


def by_usage(services: Sequence[Service], ref: str) -> tuple[int, int, int]:
    """Tokens, the uncertain part of them, nanodollars. Services that share a store say the same; give one of them."""
    tokens: Counter[str] = Counter()
    for service in services:
        for row in service.client.get("/usage").json()["usage"]:
            if row["model"] == ref:
                tokens["all"] += row["input_tokens"] + row["output_tokens"]
                tokens["uncertain"] += row["uncertain_tokens"]
                tokens["nanos"] += round(row["cost_usd"] * 1e9)
    return tokens["all"], tokens["uncertain"], tokens["nanos"]


def differences(
    provider: Provider, services: Sequence[Service], models: Iterable[str], store_of: Sequence[Service] = ()
) -> list[str]:
    """Where the provider, /metrics and /usage disagree on one of its models. `store_of`: one service for each store."""
    found: list[str] = []
    for model in models:
        ref = f"openai/{model}"
        told = by_provider(provider, model)
        metrics = by_metrics(services, ref)
        tokens, uncertain, _ = by_usage(store_of or services, ref)
        if told != (metrics.input, metrics.output):
            found.append(f"{ref}: the provider told {told}, metrics have {(metrics.input, metrics.output)}")
        if (sum(told), metrics.uncertain) != (tokens - uncertain, uncertain):
            found.append(
                f"{ref}: metrics have {sum(told)} and {metrics.uncertain} uncertain, "
                f"usage has {tokens - uncertain} and {uncertain}"
            )
    return found


def answered_tokens(outcomes: Iterable[Outcome]) -> int:
    """By the answers' own account."""
    return sum(outcome.tokens for outcome in outcomes if outcome.status == 200)

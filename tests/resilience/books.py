"""What four parties count of the same calls: the provider, /metrics, /usage and the answers."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.resilience.asking import Outcome
from tests.resilience.provider import Provider
from tests.service import Service

PRICE = {"input": 1, "output": 2}
_LABEL = re.compile(r'(\w+)="([^"]*)"')


Series = Mapping[str, float]
"""A service's metrics, as Service.metrics reads them."""


@dataclass(frozen=True)
class Count:
    """Tokens of one model that its provider counted, and those that nobody did."""

    input: int = 0
    output: int = 0
    uncertain: int = 0


def by_provider(provider: Provider, model: str) -> tuple[int, int]:
    account = provider.accounts[model]
    return account.told_input, account.told_output


class Metrics:
    """The sum over some services' metrics, by name and labels."""

    def __init__(self, services: Iterable[Service]) -> None:
        total: Counter[str] = Counter()
        for service in services:
            total.update(service.metrics())
        self._series: dict[str, list[tuple[Mapping[str, str], float]]] = defaultdict(list)
        for series, value in total.items():
            name, _, labels = series.partition("{")
            if value:
                self._series[name].append((dict(_LABEL.findall(labels)), value))

    def of(self, name: str, **labels: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """The series of that name with these labels that are not 0."""
        return ((read, value) for read, value in self._series[name] if labels.items() <= read.items())

    def sum(self, name: str, **labels: str) -> float:
        return sum(value for _, value in self.of(name, **labels))

    def outcomes(self, ref: str) -> Mapping[str, int]:
        """How often the model's calls came out in which way."""
        return {read["outcome"]: int(value) for read, value in self.of("agent_model_requests_total", model=ref)}

    def count(self, ref: str) -> Count:
        """Estimates are in the tokens as well."""
        read, written = (int(self.sum("agent_tokens_total", model=ref, type=kind)) for kind in ("input", "output"))
        guessed_read, guessed_written = (
            int(self.sum("agent_uncertain_tokens_total", model=ref, type=kind)) for kind in ("input", "output")
        )
        return Count(read - guessed_read, written - guessed_written, guessed_read + guessed_written)


@dataclass(frozen=True)
class Used:
    """Of one model, by /usage."""

    tokens: int = 0
    uncertain: int = 0
    usd: float = 0


class Usage:
    """What the caller, which is this address, has used by the account in the service's store."""

    def __init__(self, service: Service) -> None:
        self.told = service.client.get("/usage").json()

    def of(self, ref: str) -> Used:
        rows = [row for row in self.told["usage"] if row["model"] == ref]
        return Used(
            sum(row["input_tokens"] + row["output_tokens"] for row in rows),
            sum(row["uncertain_tokens"] for row in rows),
            sum(row["cost_usd"] for row in rows),
        )


def differences(provider: Provider, services: Sequence[Service], models: Iterable[str]) -> list[str]:
    """Where the provider, /metrics and /usage disagree on one of its models. The services have one store."""
    found: list[str] = []
    metrics, usage = Metrics(services), Usage(services[0])
    for model in models:
        ref = f"openai/{model}"
        told, count, used = by_provider(provider, model), metrics.count(ref), usage.of(ref)
        if told != (count.input, count.output):
            found.append(f"{ref}: the provider told {told}, metrics have {(count.input, count.output)}")
        if (counted := (sum(told), count.uncertain)) != (used.tokens - used.uncertain, used.uncertain):
            found.append(f"{ref}: told and uncertain {counted}, {used}")
    return found


def answered_tokens(outcomes: Iterable[Outcome]) -> int:
    """By the answers' own account."""
    return sum(outcome.tokens for outcome in outcomes if outcome.status == 200)

"""What a load has come to, by everyone who keeps an account of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tests.resilience.asking import Outcome
from tests.resilience.books import Metrics
from tests.resilience.provider import Provider
from tests.service import Service
from tests.telemetry.collector import Span

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Account:
    """Tokens, those of them that nobody counted, and billionths of a dollar."""

    tokens: int
    uncertain: int
    nanos: int


def _nanos(usd: float) -> int:
    return round(usd * 1e9)


def by_runs(lines: Iterable[Line]) -> Account:
    """By the lines of their ends, or by those of their requests, which leave out the estimates' part."""
    lines = list(lines)
    return Account(
        sum(line["tokens"] for line in lines),
        sum(line.get("uncertain_tokens", 0) for line in lines),
        _nanos(sum(line["cost_usd"] for line in lines)),
    )


def by_calls(lines: Iterable[Line]) -> Account:
    """By the lines of model calls; those that cost nothing say nothing of it."""
    lines = [line for line in lines if "tokens" in line]
    return Account(
        sum(line["tokens"] for line in lines),
        sum(line["tokens"] for line in lines if line.get("uncertain")),
        _nanos(sum(line["cost_usd"] for line in lines)),
    )


def by_metrics(service: Service) -> Account:
    metrics = Metrics([service])
    tokens = sum(metrics.sum("agent_tokens_total", type=kind) for kind in ("input", "output"))
    return Account(
        int(tokens), int(metrics.sum("agent_uncertain_tokens_total")), _nanos(metrics.sum("agent_cost_usd_total"))
    )


def by_usage(service: Service) -> Account:
    rows = service.client.get("/usage").json()["usage"]
    return Account(
        sum(row["input_tokens"] + row["output_tokens"] for row in rows),
        sum(row["uncertain_tokens"] for row in rows),
        _nanos(sum(row["cost_usd"] for row in rows)),
    )


def by_budget(service: Service) -> int:
    """Tokens that the caller's own budget has as spent."""
    return int(_budget(service)["spent"])


def reserved(service: Service) -> int:
    """Tokens that the caller's runs hold."""
    return int(_budget(service)["reserved"])


def _budget(service: Service) -> Mapping[str, Any]:
    [tokens] = [one["tokens"] for one in service.client.get("/usage").json()["budgets"] if one["budget"] == "user"]
    return cast(Mapping[str, Any], tokens)


def by_spans(spans: Iterable[Span]) -> int:
    """Tokens by the spans of runs."""
    runs = [span.attributes for span in spans if span.name.startswith("invoke_agent")]
    return sum(run["gen_ai.usage.input_tokens"] + run["gen_ai.usage.output_tokens"] for run in runs)


def by_provider(provider: Provider) -> int:
    """Tokens of the calls that the provider answered whole."""
    return sum(account.told_input + account.told_output for account in provider.accounts.values())


def by_answers(outcomes: Iterable[Outcome]) -> Mapping[str, tuple[int, int]]:
    """Tokens and attempts of the runs that have an answer, by their ids."""
    told = [outcome.told for outcome in outcomes if outcome.status == 200]
    return {one["run_id"]: (one["tokens_used"], one["attempts"]) for one in told}


def outcomes_by_metrics(service: Service) -> Mapping[str, int]:
    counted: Counter[str] = Counter()
    for labels, value in Metrics([service]).of("agent_runs_total"):
        counted[labels["outcome"]] += int(value)
    return counted


def tokens_by_request(lines: Sequence[Line]) -> Mapping[str, tuple[int, int]]:
    """Tokens and number of model calls, by the requests that they were made for."""
    tokens: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for line in lines:
        tokens[line["request_id"]] += line.get("tokens", 0)
        calls[line["request_id"]] += 1
    return {request: (tokens[request], calls[request]) for request in calls}

"""The series that are known in advance, made at zero: a rate sees no first increase of a series that was not there."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise, permutations, product
from typing import Final

from msgspec import Struct

from app import __version__
from app.telemetry import metrics

RUN_OUTCOMES: Final = (
    "ok",
    "limited",
    "refused",
    "client_gone",
    "failed_model",
    "failed_internal",
    "deadline",
    "waiting",
)
REST_REASONS: Final = ("rate_limited", "used_up", "overloaded")
TOKEN_TYPES: Final = ("input", "output", "cache_read", "cache_write")
UNCERTAIN_TYPES: Final = ("input", "output")
TOOL_STATUSES: Final = ("ok", "error", "timeout", "unknown")
CACHE_RESULTS: Final = ("hit", "joined", "miss", "bypass", "stale", "error")
SIMILAR_RESULTS: Final = ("hit", "miss", "veto", "shadow_hit", "error")
RATE_SCOPES: Final = ("global", "peer", "peer-operation", "user", "operation", "address", "refused")
BUDGET_SCOPES: Final = ("global", "peer", "user", "team")
BATCH_WAYS: Final = ("provider", "queue")
BATCH_OUTCOMES: Final = ("succeeded", "failed", "cancelled", "expired")
DELIVERY_OUTCOMES: Final = ("delivered", "failed", "given_up")
ESCALATION_SOURCES: Final = ("tool", "feedback")
RESUMPTION_REASONS: Final = ("crash", "handed_back", "decided")
APPROVAL_OUTCOMES: Final = ("approved", "denied", "expired", "withdrawn")
GUARD_VERDICTS: Final = ("block", "flag")
DROP_REASONS: Final = ("queue_full", "export_failed", "shutdown")

_MOST_PAIRED = 6  # models whose every change to another one is made at zero; of more only that to the next one


class Known(Struct, frozen=True):
    """What a process knows of its labels when it starts."""

    models: Sequence[str]
    embedding_models: Sequence[str] = ()
    outcomes: Sequence[str] = ()
    """Classes of failures that an attempt of a model call can end with."""
    gates: Sequence[str] = ()
    """Those of calls that are refused before an attempt."""
    retried: Sequence[str] = ()
    """Those after which the same model is called again."""
    tiers: Sequence[str] = ()
    tier_reasons: Sequence[str] = ()
    tools: Iterable[str] = ()


def start_at_zero(known: Known) -> None:
    """Make every series that is known when a process starts."""
    python = ".".join(map(str, sys.version_info[:3]))
    metrics.BUILD_INFO.labels(__version__, os.environ.get("REVISION") or "unknown", python).set(1)
    for model in known.models:
        _model(model, known)
    for model in (*known.models, *known.embedding_models):
        _paid_calls(model, known)
    for tier in known.tiers:
        for reason in known.tier_reasons:
            metrics.ROUTED.labels(tier, reason)
    _tools(known.tools)
    _answers()
    _limits()
    for way, outcome in product(BATCH_WAYS, BATCH_OUTCOMES):
        metrics.BATCH_INPUTS.labels(way, outcome)
    for outcome in DELIVERY_OUTCOMES:
        metrics.WEBHOOK_DELIVERIES.labels(outcome)
    for outcome in APPROVAL_OUTCOMES:
        metrics.APPROVALS.labels(outcome)
    metrics.TELEMETRY_EXPORTED.labels("traces")
    for reason in DROP_REASONS:
        metrics.TELEMETRY_DROPPED.labels("traces", reason)


def rules_at_zero(rules: Iterable[str]) -> None:
    """Make the series of the input guard's rules."""
    for rule, verdict in product(rules, GUARD_VERDICTS):
        metrics.GUARD_VERDICTS.labels(rule, verdict)


def agents_at_zero(agents: Mapping[str, Sequence[str]]) -> None:
    """Make the series of these agents; each has the models that may answer instead of each other, by preference."""
    for agent, chain in agents.items():
        for outcome in RUN_OUTCOMES:
            metrics.RUNS.labels(agent, outcome)
        for completed in ("true", "false"):
            metrics.FEEDBACK.labels(agent, completed)
        for source in ESCALATION_SOURCES:
            metrics.ESCALATIONS.labels(agent, source)
        for reason in RESUMPTION_REASONS:
            metrics.RUN_RESUMPTIONS.labels(agent, reason)
        metrics.DEAD_RUNS.labels(agent)
        for series in (metrics.RUN_LATENCY, metrics.RUN_COST, metrics.FEEDBACK_SCORE):
            series.labels(agent)
        for failed, to in permutations(chain, 2) if len(chain) <= _MOST_PAIRED else pairwise(chain):
            metrics.FALLBACKS.labels(failed, to)


def _model(model: str, known: Known) -> None:
    for series in (
        metrics.TIME_TO_FIRST_TOKEN,
        metrics.TIME_PER_OUTPUT_TOKEN,
        metrics.RUN_CONTEXT_RATIO,
        metrics.BREAKER_STATE,
        metrics.MODEL_CALLS_OPEN,
        metrics.MODEL_QUEUE_DEPTH,
        metrics.MODEL_RESTING,
    ):
        series.labels(model)
    for counter, values in (
        (metrics.MODEL_REFUSALS, known.gates),
        (metrics.MODEL_RESTS, REST_REASONS),
        (metrics.RETRIES, known.retried),
    ):
        for value in values:
            counter.labels(model, value)


def _paid_calls(model: str, known: Known) -> None:
    metrics.COST.labels(model)
    metrics.UNKNOWN_PRICE_CALLS.labels(model)
    for outcome in ("ok", *known.outcomes):
        metrics.MODEL_REQUESTS.labels(model, outcome)
    for kind in TOKEN_TYPES:
        metrics.TOKENS.labels(model, kind)
    for kind in UNCERTAIN_TYPES:
        metrics.UNCERTAIN_TOKENS.labels(model, kind)


def _tools(tools: Iterable[str]) -> None:
    for tool in tools:
        metrics.TOOL_LATENCY.labels(tool)
        for status in TOOL_STATUSES:
            metrics.TOOL_CALLS.labels(tool, status)
    metrics.TOOL_CALLS.labels("unknown", "error")


def _answers() -> None:
    for result in CACHE_RESULTS:
        metrics.CACHE_LOOKUPS.labels(result)
    for result in SIMILAR_RESULTS:
        metrics.SIMILAR_LOOKUPS.labels(result)


def _limits() -> None:
    for scope in RATE_SCOPES:
        metrics.RATE_LIMITED.labels(scope)
    for scope in BUDGET_SCOPES:
        metrics.BUDGET_EXCEEDED.labels(scope)
        metrics.BUDGET_USED.labels(scope)

"""What each alert is about, as series: when it fires, when it is silent, and when one of three was bad."""

from dataclasses import dataclass

from tests.observability.series import Counter, Gauge, Series, few, histogram


@dataclass(frozen=True, slots=True)
class Signal:
    bad: tuple[Series, ...]
    good: tuple[Series, ...]
    one_of_three: tuple[Series, ...]


def runs(ok: float, failed: float, outcome: str = "failed_model") -> tuple[Series, ...]:
    name = "agent_runs_total"
    return tuple(
        Counter(name, {"agent": "default", "outcome": one}, rate) for one, rate in (("ok", ok), (outcome, failed))
    )


def pair(name: str, label: str, good: str, bad: str, **labels: str) -> Signal:
    """A counter whose label says which of its cases were bad."""

    def made(**by: float | int) -> tuple[Series, ...]:
        (how, ok), (_, failed) = ((key.split("_")[0], value) for key, value in by.items())
        values = ((good, ok), (bad, failed))
        if how == "total":
            return tuple(Counter(name, {**labels, label: one}, total=int(value)) for one, value in values)
        return tuple(Counter(name, {**labels, label: one}, float(value)) for one, value in values)

    return Signal(made(rate_ok=2, rate_bad=3), made(rate_ok=1000, rate_bad=0.5), made(total_ok=2, total_bad=1))


def quantile(name: str, le: str, **labels: str) -> Signal:
    return Signal(histogram(name, le, 5, 5, **labels), histogram(name, le, 1000, 1, **labels), few(name, le, **labels))


def state(name: str, bad: float, good: float, **labels: str) -> Signal:
    """A gauge that is looked at; one look of three is bad."""
    gauges = [Gauge(name, labels, values) for values in ((bad,), (good,), (*(good, bad, good) * 7, good))]
    return Signal((gauges[0],), (gauges[1],), (gauges[2],))


RUNS = pair("agent_runs_total", "outcome", "ok", "failed_model", agent="default")
RUNS_OF_ALL_KINDS: tuple[Series, ...] = (
    *runs(1, 0),
    *(Counter("agent_runs_total", {"agent": "default", "outcome": one}, 9) for one in ("limited", "refused")),
    Counter("agent_runs_total", {"agent": "default", "outcome": "client_gone"}, 9),
    Counter("agent_runs_total", {"agent": "default", "outcome": "waiting"}, 9),
)


def budget(scope: str, share: float) -> tuple[Series, ...]:
    return (Gauge("agent_budget_used_ratio", {"scope": scope}, (share,)),)


def approvals(waiting: float, decided: float) -> tuple[Series, ...]:
    """So many tool calls wait, and so many are decided on each minute."""
    return (
        Gauge("agent_approvals_waiting", {}, (waiting,)),
        Counter("agent_approvals_total", {"outcome": "approved"}, decided),
    )


def cost(dollars: float, count: float) -> tuple[Series, ...]:
    return (
        Counter("agent_run_cost_usd_sum", {"agent": "default"}, dollars),
        Counter("agent_run_cost_usd_count", {"agent": "default"}, count),
    )


def pods(*current: float) -> tuple[Series, ...]:
    labels = {"horizontalpodautoscaler": "agent-api"}
    return (
        Gauge("kube_horizontalpodautoscaler_status_current_replicas", labels, current, of_pod=False),
        Gauge("kube_horizontalpodautoscaler_spec_max_replicas", labels, (5,), of_pod=False),
    )


ABSENT = Signal(
    (),
    (Gauge("agent_build_info", {"version": "1"}, (1,)),),
    (Gauge("agent_build_info", {"version": "1"}, (*(1, None, 1) * 7, 1)),),
)
SIGNALS: dict[str, Signal] = {
    "AgentApiErrorBudgetBurnsFast": RUNS,
    "AgentApiErrorBudgetBurnsSlowly": RUNS,
    "AgentApiErrors": RUNS,
    "AgentApiSlow": quantile("agent_run_latency_seconds", "10", agent="default"),
    "AgentApiRunsDear": Signal(
        cost(6, 10),
        cost(1, 10),
        (
            Counter("agent_run_cost_usd_sum", {"agent": "default"}, total=9),
            Counter("agent_run_cost_usd_count", {"agent": "default"}, total=3),
        ),
    ),
    "AgentApiContextNearlyFull": quantile("agent_run_context_ratio", "0.8", model="demo"),
    "AgentApiTasksNotCompleted": pair("agent_feedback_total", "completed", "true", "false", agent="default"),
    "AgentApiEscalations": Signal(
        (*runs(9, 1), Counter("agent_escalations_total", {"agent": "default", "source": "tool"}, 4)),
        (*runs(99, 1), Counter("agent_escalations_total", {"agent": "default", "source": "tool"}, 4)),
        (
            Counter("agent_runs_total", {"agent": "default", "outcome": "ok"}, total=3),
            Counter("agent_escalations_total", {"agent": "default", "source": "tool"}, total=1),
        ),
    ),
    "AgentApiModelFailing": pair("agent_model_requests_total", "outcome", "ok", "unreachable", model="demo"),
    "AgentApiFirstContentSlow": quantile("agent_time_to_first_token_seconds", "5", model="demo"),
    "AgentApiBreakerOpen": state("agent_breaker_state", 2, 0, model="demo"),
    "AgentApiModelResting": state("agent_model_resting", 1, 0, model="demo"),
    "AgentApiFallbacks": Signal(
        (*runs(9, 1), Counter("agent_fallbacks_total", {"from": "a", "to": "b"}, 4)),
        (*runs(99, 1), Counter("agent_fallbacks_total", {"from": "a", "to": "b"}, 4)),
        (
            Counter("agent_runs_total", {"agent": "default", "outcome": "ok"}, total=3),
            Counter("agent_fallbacks_total", {"from": "a", "to": "b"}, total=1),
        ),
    ),
    "AgentApiPriceUnknown": Signal(
        (Counter("agent_unknown_price_calls_total", {"model": "demo"}, 1),),
        (Counter("agent_unknown_price_calls_total", {"model": "demo"}, 0),),
        (),
    ),
    "AgentApiToolFailing": pair("agent_tool_calls_total", "status", "ok", "error", tool="calculator"),
    "AgentApiRunQueueOld": state("agent_run_queue_age_seconds", 90, 5),
    "AgentApiDeadRuns": Signal(
        (Counter("agent_dead_runs_total", {"agent": "default"}, 1),),
        (Counter("agent_dead_runs_total", {"agent": "default"}, 0),),
        (),
    ),
    "AgentApiApprovalsExpired": Signal(
        (Counter("agent_approvals_total", {"outcome": "expired"}, 1),),
        (Counter("agent_approvals_total", {"outcome": "expired"}, 0), *approvals(0, 1)),
        (),
    ),
    "AgentApiApprovalsWaiting": Signal(
        approvals(2, 0),
        approvals(2, 1),
        (
            Gauge("agent_approvals_waiting", {}, (0, 2, 0) * 7),
            Counter("agent_approvals_total", {"outcome": "denied"}, 0),
        ),
    ),
    "AgentApiGuardsFailing": Signal(
        (Counter("guard_errors_total", {"guard": "input", "reason": "scan"}, 2),),
        (Counter("guard_errors_total", {"guard": "input", "reason": "scan"}, 0),),
        (Counter("guard_errors_total", {"guard": "input", "reason": "scan"}, total=1),),
    ),
    "AgentApiAuditIncomplete": Signal(
        (Counter("agent_audit_dropped_total", {}, 1),),
        (Counter("agent_audit_dropped_total", {}, 0),),
        (),
    ),
    "AgentApiWebhooksFailing": pair("agent_webhook_deliveries_total", "outcome", "delivered", "failed"),
    "AgentApiBudgetNearlySpent": Signal(budget("global", 0.9), budget("global", 0.5), budget("user", 1)),
    "AgentApiBudgetSpent": Signal(budget("team", 1), budget("team", 0.7), budget("user", 1)),
    "AgentApiDependencyDown": state("agent_dependency_up", 0, 1, dependency="redis"),
    "AgentApiTelemetryDropped": Signal(
        (
            Counter("agent_telemetry_dropped_total", {"signal": "traces", "reason": "queue_full"}, 5),
            Counter("agent_telemetry_exported_total", {"signal": "traces"}, 50),
        ),
        (
            Counter("agent_telemetry_dropped_total", {"signal": "traces", "reason": "queue_full"}, 0.5),
            Counter("agent_telemetry_exported_total", {"signal": "traces"}, 500),
        ),
        (
            Counter("agent_telemetry_dropped_total", {"signal": "traces", "reason": "queue_full"}, total=1),
            Counter("agent_telemetry_exported_total", {"signal": "traces"}, total=2),
        ),
    ),
    "AgentApiAtMaximum": Signal(pods(5), pods(4), pods(4, 5, 4)),
}

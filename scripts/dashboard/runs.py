"""Rows about what users get."""

from scripts.dashboard.panels import Panel, Query, Row, gauge, hourly, mean, quantiles, rate, share, share_of

BAD = ',outcome=~"failed_model|failed_internal|deadline"'
VALID = ',outcome=~"ok|failed_model|failed_internal|deadline"'
RUNS = "agent_runs_total"
BURNS = ("AgentApiErrorBudgetBurnsFast", "AgentApiErrorBudgetBurnsSlowly")


def _over(window: str, matchers: str) -> str:
    return f"sum(increase({RUNS}{{@{matchers}}}[{window}]))"


def _burn(window: str) -> Query:
    failed = share(_over(window, BAD), _over(window, VALID), "").expression
    return Query(f"{failed} / (1 - $slo / 100)", f"{window}")


TRAFFIC = Row(
    "Traffic and outcomes",
    (
        Panel(
            "Alerts that fire",
            (Query('count(ALERTS{namespace="$namespace",alertstate="firing"}) or vector(0)', "alerts"),),
            kind="stat",
            steps=(("green", None), ("red", 1)),
        ),
        Panel(
            "Good runs",
            (share(_over("$__range", ',outcome="ok"'), _over("$__range", VALID), "good"),),
            "percentunit",
            BURNS,
            "Of those that a model, the service or the deadline could fail: what callers did counts on neither side.",
            "stat",
            steps=(("red", None), ("orange", 0.99), ("green", 0.995)),
        ),
        Panel("Runs", (rate(RUNS, legend="runs"),), "reqps", kind="stat"),
        Panel("Spent in the last hour", (hourly("agent_cost_usd_total", ""),), "currencyUSD", kind="stat"),
        Panel(
            "What runs came to", (rate(RUNS, "outcome", exemplars=True),), "reqps", ("AgentApiErrors",), stacked=True
        ),
        Panel("Failed runs by agent", (share_of(RUNS, "agent", BAD, VALID),), "percentunit", ("AgentApiErrors",)),
        Panel(
            "Error budget burn rate",
            (_burn("5m"), _burn("1h"), _burn("6h")),
            alerts=BURNS,
            text="1 spends the budget in exactly the time that the SLO is about; a page comes at 14.4 over an hour.",
        ),
        Panel("Requests", (rate("agent_requests_total", "endpoint, status"),), "reqps", stacked=True),
        Panel("Requests by HTTP status", (rate("http_requests_total", "status"),), "reqps", stacked=True),
        Panel("In flight", (gauge("agent_active_requests", legend="requests"),)),
        Panel(
            "Tasks completed, of the answers that were marked",
            (share_of("agent_feedback_total", "agent", ',completed="true"'),),
            "percentunit",
            ("AgentApiTasksNotCompleted",),
        ),
        Panel("Scores", (mean("agent_feedback_score", "agent"),)),
        Panel(
            "Handed over to people",
            (rate("agent_escalations_total", "agent, source"),),
            "reqps",
            ("AgentApiEscalations",),
        ),
    ),
)
LATENCY = Row(
    "Latency",
    (
        Panel("Runs", quantiles("agent_run_latency_seconds", of=(0.5, 0.95, 0.99)), "s", ("AgentApiSlow",)),
        Panel("Runs by agent", quantiles("agent_run_latency_seconds", "agent", of=(0.95,)), "s", ("AgentApiSlow",)),
        Panel("Requests by endpoint", quantiles("agent_request_latency_seconds", "endpoint", of=(0.95,)), "s"),
        Panel("A run's time outside models and tools", quantiles("agent_overhead_seconds", of=(0.5, 0.95, 0.99)), "s"),
        Panel("HTTP requests", quantiles("http_request_duration_seconds", "handler", of=(0.95,)), "s"),
    ),
)
STREAMS = Row(
    "Streams",
    (
        Panel("Open streams", (gauge("agent_active_streams", legend="streams"),)),
        Panel("Open streams by pod", (gauge("agent_active_streams", "pod"),)),
        Panel(
            "Runs that their client left",
            (share_of(RUNS, "", ',outcome="client_gone"'),),
            "percentunit",
            text="Many of them say that answers come too late, or that a proxy cuts streams.",
        ),
    ),
)
FIRST_CONTENT = Row(
    "First content and the time between tokens",
    (
        Panel(
            "First content",
            quantiles("agent_time_to_first_token_seconds", "model"),
            "s",
            ("AgentApiFirstContentSlow",),
        ),
        Panel("Time between tokens", quantiles("agent_time_per_output_token_seconds", "model"), "s"),
        Panel(
            "Tokens a second while a stream is written",
            (
                Query(
                    "sum by (model) (rate(agent_time_per_output_token_seconds_count{@}[$__rate_interval])) / "
                    "(sum by (model) (rate(agent_time_per_output_token_seconds_sum{@}[$__rate_interval])) > 0)",
                    "{{model}}",
                ),
            ),
        ),
    ),
)
ROWS = (TRAFFIC, LATENCY, FIRST_CONTENT, STREAMS)

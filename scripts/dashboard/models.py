"""Rows about models, what they cost, and what is asked of tools."""

from scripts.dashboard.panels import Panel, Row, gauge, hourly, mean, quantiles, rate, share, share_of

CALLS = "agent_model_requests_total"

SPENDING = Row(
    "Tokens and dollars",
    (
        Panel("Tokens an hour", (hourly("agent_tokens_total", "model, type"),)),
        Panel("Dollars an hour", (hourly("agent_cost_usd_total", "model"),), "currencyUSD", ("AgentApiRunsDear",)),
        Panel("Cost of a run", (mean("agent_run_cost_usd", "agent"),), "currencyUSD", ("AgentApiRunsDear",)),
        Panel("Cost of a run, p95", quantiles("agent_run_cost_usd", "agent", of=(0.95,)), "currencyUSD"),
        Panel(
            "Share of the context window that runs use",
            quantiles("agent_run_context_ratio", "model"),
            "percentunit",
            ("AgentApiContextNearlyFull",),
        ),
        Panel(
            "Estimated tokens an hour",
            (hourly("agent_uncertain_tokens_total", "model, type"),),
            text="Of calls that were cut, whose tokens no provider told.",
        ),
        Panel(
            "Calls without a known price",
            (hourly("agent_unknown_price_calls_total", "model"),),
            alerts=("AgentApiPriceUnknown",),
        ),
    ),
)
MODELS = Row(
    "Models",
    (
        Panel(
            "Calls", (rate(CALLS, "model, outcome", exemplars=True),), "reqps", ("AgentApiModelFailing",), stacked=True
        ),
        Panel(
            "Failed calls",
            (share_of(CALLS, "model", ',outcome!="ok"'),),
            "percentunit",
            ("AgentApiModelFailing",),
        ),
        Panel("Retries", (rate("agent_retries_total", "model, reason"),), "reqps"),
        Panel(
            "Fallbacks",
            (rate("agent_fallbacks_total", "from, to", legend="{{from}} → {{to}}", exemplars=True),),
            "reqps",
            ("AgentApiFallbacks",),
        ),
        Panel(
            "Breaker",
            (gauge("agent_breaker_state", "model", "max"),),
            alerts=("AgentApiBreakerOpen",),
            kind="state-timeline",
            names=(("0", "closed"), ("1", "half-open"), ("2", "open")),
        ),
        Panel(
            "Resting",
            (gauge("agent_model_resting", "model", "max"),),
            alerts=("AgentApiModelResting",),
            kind="state-timeline",
            names=(("0", "called"), ("1", "rests")),
        ),
        Panel("Put to rest", (rate("agent_model_rests_total", "model, reason"),), "reqps", ("AgentApiModelResting",)),
        Panel("Calls that were not made", (rate("agent_model_refusals_total", "model, reason"),), "reqps"),
        Panel("Calls that wait for a place", (gauge("agent_model_queue_depth", "model"),)),
        Panel("Calls under MAX_CONCURRENT_CALLS", (gauge("agent_model_calls_open", "model"),)),
        Panel("Chosen for `auto`", (rate("agent_routed_total", "tier, reason"),), "reqps"),
    ),
)
CACHE = Row(
    "Cache",
    (
        Panel("Answer cache", (rate("agent_cache_lookups_total", "result"),), "reqps", stacked=True),
        Panel(
            "Answers from the cache",
            (share_of("agent_cache_lookups_total", "", ',result=~"hit|joined|stale"'),),
            "percentunit",
        ),
        Panel("Nearly equal questions", (rate("agent_similar_lookups_total", "result"),), "reqps", stacked=True),
        Panel(
            "Input that providers had cached",
            (
                share(
                    'sum by (model) (rate(agent_tokens_total{@,type="cache_read"}[$__rate_interval]))',
                    'sum by (model) (rate(agent_tokens_total{@,type="input"}[$__rate_interval]))',
                    "{{model}}",
                ),
            ),
            "percentunit",
        ),
    ),
)
TOOLS = Row(
    "Tools",
    (
        Panel("Calls", (rate("agent_tool_calls_total", "tool, status"),), "reqps", ("AgentApiToolFailing",)),
        Panel(
            "Success",
            (share_of("agent_tool_calls_total", "tool", ',status="ok"'),),
            "percentunit",
            ("AgentApiToolFailing",),
        ),
        Panel("Latency", quantiles("agent_tool_latency_seconds", "tool"), "s"),
    ),
)
LIMITS = Row(
    "Limits and budgets",
    (
        Panel("Refused by a limit", (rate("agent_rate_limited_total", "scope"),), "reqps"),
        Panel(
            "Refused by a budget", (rate("agent_budget_exceeded_total", "scope"),), "reqps", ("AgentApiBudgetSpent",)
        ),
        Panel(
            "Spent share of the fullest budget",
            (gauge("agent_budget_used_ratio", "scope", "max"),),
            "percentunit",
            ("AgentApiBudgetNearlySpent", "AgentApiBudgetSpent"),
        ),
    ),
)
ROWS = (SPENDING, MODELS, CACHE, TOOLS, LIMITS)

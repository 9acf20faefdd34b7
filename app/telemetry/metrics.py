"""Every metric, once. No user, session, key or free text is ever a label.

docs/metrics.md shows them as a table. Their series start at zero in app/telemetry/known_series.py.
"""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# A series for each one that no query needs: a rate knows a restart by its counter's fall.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Up to 300 s: a slow model is what these are looked at for.
LATENCY_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
COST_BUCKETS = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
RATIO_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
OVERHEAD_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# From a small model on a large machine to a large one on a small machine.
OUTPUT_TOKEN_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)
SCORE_BUCKETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1)

BUILD_INFO = Gauge("agent_build_info", "1, with what this process was built of", ["version", "revision", "python"])
EVENT_LOOP_LAG = Histogram(
    "agent_event_loop_lag_seconds",
    "How late the event loop was with a timer, looked at four times a second",
    buckets=LAG_BUCKETS,
)

REQUESTS = Counter(
    "agent_requests",
    "HTTP requests answered; with the outcome of the run, if they asked for one",
    ["endpoint", "method", "status", "outcome"],
)
RUNS = Counter("agent_runs", "Runs that are over, by what they came to", ["agent", "outcome"])
RUN_QUEUE_AGE = Gauge(
    "agent_run_queue_age_seconds", "For how long the oldest background run that is due has waited for a worker"
)
RUN_RESUMPTIONS = Counter(
    "agent_run_resumptions",
    "Background runs that another worker has gone on with: after a `crash`, after a person has `decided`, or one that "
    "was `handed_back`",
    ["agent", "reason"],
)
DEAD_RUNS = Counter("agent_dead_runs", "Background runs that were given up since their workers died", ["agent"])
MCP_TOOLS = Gauge("agent_mcp_tools", "Tools of MCP servers; only those that are `on` can be called", ["state"])
REDACTIONS = Counter(
    "agent_redactions", "Secrets, personal data and system prompts taken out of what left a run", ["group"]
)
GUARD_VERDICTS = Counter(
    "agent_guard_verdicts",
    "Runs whose input met a rule; `block`: they were refused, `flag`: only noted",
    ["rule", "verdict"],
)
GUARD_ERRORS = Counter("guard_errors", "Guards that broke; nothing went on without their verdict", ["guard", "reason"])
APPROVALS = Counter(
    "agent_approvals",
    "Calls of tools that a person was asked about, by what came of it: `expired` if nobody decided in time, "
    "`withdrawn` if the run was over before",
    ["outcome"],
)
APPROVALS_WAITING = Gauge("agent_approvals_waiting", "Calls of tools that wait for a person's decision, in the store")
AUDIT_ENTRIES = Counter("agent_audit_entries", "Entries of the audit record", ["action", "decision"])
AUDIT_DROPPED = Counter("agent_audit_dropped", "Entries of the audit record that only the log has: the store was away")
AUDIT_HEAD_TIME = Gauge(
    "agent_audit_head_timestamp_seconds", "Time of the last signed head of the audit record; 0: nothing is on record"
)
RUN_LATENCY = Histogram(
    "agent_run_latency_seconds", "Time of a run that was let in, however it ended", ["agent"], buckets=LATENCY_BUCKETS
)
RUN_COST = Histogram(
    "agent_run_cost_usd", "Cost of a run that was let in, in US dollars", ["agent"], buckets=COST_BUCKETS
)
RUN_CONTEXT_RATIO = Histogram(
    "agent_run_context_ratio",
    "Largest prompt of a run as a share of its model's context window",
    ["model"],
    buckets=RATIO_BUCKETS,
)
REQUEST_LATENCY = Histogram(
    "agent_request_latency_seconds",
    "Time from a request's arrival to the end of its answer",
    ["endpoint"],
    buckets=LATENCY_BUCKETS,
)
ACTIVE_REQUESTS = Gauge("agent_active_requests", "Requests being answered, probes left out")
ACTIVE_STREAMS = Gauge("agent_active_streams", "Event streams being sent")
RUN_FOLLOWERS = Gauge("agent_run_followers", "Event streams of runs that are kept, being sent")
TIME_TO_FIRST_TOKEN = Histogram(
    "agent_time_to_first_token_seconds",
    "Time from a streamed model call to the first text or reasoning",
    ["model"],
    buckets=LATENCY_BUCKETS,
)
TIME_PER_OUTPUT_TOKEN = Histogram(
    "agent_time_per_output_token_seconds",
    "Mean time from one token of a streamed model call to the next, after its first",
    ["model"],
    buckets=OUTPUT_TOKEN_BUCKETS,
)
OVERHEAD = Histogram("agent_overhead_seconds", "A run's time outside models and tools", buckets=OVERHEAD_BUCKETS)
TOKENS = Counter(
    "agent_tokens",
    "Tokens by the provider's count, or estimated for calls that were cut; `input` has those of `cache_read` and "
    "`cache_write`, so that the cached share of the input is cache_read / input",
    ["model", "type"],
)
UNCERTAIN_TOKENS = Counter(
    "agent_uncertain_tokens",
    "The part of agent_tokens_total that is estimated, for calls that were cut",
    ["model", "type"],
)
COST = Counter("agent_cost_usd", "Cost of model calls in US dollars, those that were cut included", ["model"])
UNKNOWN_PRICE_CALLS = Counter(
    "agent_unknown_price_calls", "Model calls that count as $0 because no price is known", ["model"]
)
MODEL_REQUESTS = Counter(
    "agent_model_requests",
    "Attempts of model calls by their outcome: `ok` or a class of failures",
    ["model", "outcome"],
)
MODEL_REFUSALS = Counter(
    "agent_model_refusals", "Model calls that this service did not make, by the gate that refused", ["model", "reason"]
)
ROUTED = Counter("agent_routed", "Runs that asked for the model `auto`", ["tier", "reason"])
MODEL_RESTING = Gauge(
    "agent_model_resting", "1 while the model is left alone because of its provider's limit", ["model"]
)
MODEL_RESTS = Counter("agent_model_rests", "Times that a model was put to rest", ["model", "reason"])
FALLBACKS = Counter("agent_fallbacks", "Runs that went on with another model", ["from", "to"])
RETRIES = Counter("agent_retries", "Retries of model calls by what had failed", ["model", "reason"])
TOOL_CALLS = Counter("agent_tool_calls", "Tool calls", ["tool", "status"])
TOOL_LATENCY = Histogram("agent_tool_latency_seconds", "Time of a tool call", ["tool"], buckets=LATENCY_BUCKETS)
CACHE_LOOKUPS = Counter(
    "agent_cache_lookups",
    "Runs by what the answer cache had for them; a stale answer is a look-up of its own, after a miss",
    ["result"],
)
RATE_LIMITED = Counter("agent_rate_limited", "Requests refused by a limit", ["scope"])
BUDGET_EXCEEDED = Counter("agent_budget_exceeded", "Requests refused by a budget", ["scope"])
BUDGET_USED = Gauge(
    "agent_budget_used_ratio", "Spent share of the fullest budget of a scope that was lately used", ["scope"]
)
DEPENDENCY_UP = Gauge("agent_dependency_up", "1 if the dependency answered its last probe, else 0", ["dependency"])
BREAKER_STATE = Gauge(
    "agent_breaker_state", "A model's breaker: 0 closed, 1 half-open, 2 open, so that it is not called", ["model"]
)
MODEL_CALLS_OPEN = Gauge("agent_model_calls_open", "Calls under MAX_CONCURRENT_CALLS that are open", ["model"])
MODEL_QUEUE_DEPTH = Gauge("agent_model_queue_depth", "Calls that wait for MAX_CONCURRENT_CALLS", ["model"])
FEEDBACK = Counter("agent_feedback", "Runs whose answer was marked, by whether it did its task", ["agent", "completed"])
FEEDBACK_SCORE = Histogram(
    "agent_feedback_score", "Scores that users give answers, from 0 to 1", ["agent"], buckets=SCORE_BUCKETS
)
ESCALATIONS = Counter("agent_escalations", "Runs that a person had to take over, by who said so", ["agent", "source"])
WEBHOOK_DELIVERIES = Counter(
    "agent_webhook_deliveries",
    "Attempts to deliver a webhook: `failed` is tried again, `given_up` is not",
    ["outcome"],
)
SIMILAR_LOOKUPS = Counter(
    "agent_similar_lookups", "Looks for the answer to a nearly equal question, by what came of them", ["result"]
)
TELEMETRY_EXPORTED = Counter("agent_telemetry_exported", "Spans that the collector has taken", ["signal"])
TELEMETRY_DROPPED = Counter("agent_telemetry_dropped", "Spans that were lost, by the reason", ["signal", "reason"])
BATCH_INPUTS = Counter(
    "agent_batch_inputs",
    "Inputs of batches that have a result, by the way they went and what they came to",
    ["way", "outcome"],
)

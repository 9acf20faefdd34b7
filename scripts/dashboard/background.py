"""The row about runs that outlive a request."""

from scripts.dashboard.panels import Panel, Row, gauge, hourly, rate

BACKGROUND = Row(
    "Background runs",
    (
        Panel(
            "The oldest run's wait for a worker",
            (gauge("agent_run_queue_age_seconds", "", "max", legend="wait"),),
            "s",
            ("AgentApiRunQueueOld",),
            "Every process that works on background runs reads the same number from the store.",
        ),
        Panel(
            "Runs that another worker went on with",
            (rate("agent_run_resumptions_total", "reason"),),
            "reqps",
            text="`handed_back` comes with every deploy, `crash` does not.",
        ),
        Panel("Runs given up in an hour", (hourly("agent_dead_runs_total", "agent"),), alerts=("AgentApiDeadRuns",)),
        Panel(
            "Tool calls that wait for a person",
            (gauge("agent_approvals_waiting", "", "max", legend="waiting"),),
            alerts=("AgentApiApprovalsWaiting",),
            text="Every process that works on background runs reads the same number from the store.",
        ),
        Panel(
            "Approvals in an hour, by what came of them",
            (hourly("agent_approvals_total", "outcome"),),
            alerts=("AgentApiApprovalsExpired",),
        ),
        Panel(
            "Webhooks, attempts by what came of them",
            (rate("agent_webhook_deliveries_total", "outcome"),),
            "reqps",
            ("AgentApiWebhooksFailing",),
            stacked=True,
        ),
        Panel("Followers of kept runs", (gauge("agent_run_followers", legend="followers"),)),
    ),
)
ROWS = (BACKGROUND,)

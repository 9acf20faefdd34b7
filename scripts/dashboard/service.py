"""Rows about the service itself and what it runs on."""

from scripts.dashboard.panels import Panel, Query, Row, gauge, quantiles, rate, share

OWN = ',container="agent-api"'
DROPPED = "sum by (signal) (rate(agent_telemetry_dropped_total{@}[$__rate_interval]))"
EXPORTED = "sum by (signal) (rate(agent_telemetry_exported_total{@}[$__rate_interval]))"

DEPENDENCIES = Row(
    "Dependencies",
    (
        Panel(
            "Answer to the last probe",
            (gauge("agent_dependency_up", "dependency", "min"),),
            alerts=("AgentApiDependencyDown",),
            kind="state-timeline",
            names=(("0", "down"), ("1", "up")),
        ),
        Panel(
            "Pods that Prometheus sees",
            (Query("count(agent_build_info{@}) or vector(0)", "pods"),),
            alerts=("AgentApiAbsent",),
        ),
    ),
)
PODS = Row(
    "Pods and autoscaler",
    (
        Panel("CPU", (rate("process_cpu_seconds_total", "pod"),), "short", text="Cores."),
        Panel("Memory", (gauge("process_resident_memory_bytes", "pod"),), "bytes"),
        Panel("Open files and connections", (gauge("process_open_fds", "pod"),)),
        Panel(
            "Versions",
            (
                gauge(
                    "agent_build_info",
                    "version, revision, python",
                    legend="{{version}} {{revision}} on Python {{python}}",
                ),
            ),
        ),
        Panel(
            "Autoscaler",
            tuple(
                gauge(f"kube_horizontalpodautoscaler_{name}", "horizontalpodautoscaler", "max", legend=legend)
                for name, legend in (
                    ("status_current_replicas", "pods"),
                    ("status_desired_replicas", "wanted"),
                    ("spec_max_replicas", "maximum"),
                )
            ),
            alerts=("AgentApiAtMaximum",),
            text="From kube-state-metrics.",
        ),
        Panel(
            "Restarts in an hour",
            (
                Query(
                    "sum by (pod, container) (increase(kube_pod_container_status_restarts_total{@}[1h]))",
                    "{{pod}} {{container}}",
                ),
            ),
            text="From kube-state-metrics.",
        ),
        Panel(
            "CPU that a limit withheld",
            (
                share(
                    *(
                        rate(f"container_cpu_cfs_{name}_total", "pod", OWN).expression
                        for name in ("throttled_periods", "periods")
                    ),
                    "{{pod}}",
                ),
            ),
            "percentunit",
            text="From the kubelet's cAdvisor.",
        ),
    ),
)
EVENT_LOOP = Row(
    "Event loop",
    (
        Panel(
            "Lag",
            quantiles("agent_event_loop_lag_seconds", of=(0.5, 0.99)),
            "s",
            text="How late timers are: what each request and each token waits for a process that is busy.",
        ),
        Panel("Lag by pod, p99", quantiles("agent_event_loop_lag_seconds", "pod", of=(0.99,)), "s"),
        Panel(
            "Garbage collections",
            (rate("python_gc_collections_total", "pod, generation"),),
            "ops",
        ),
    ),
)
TELEMETRY = Row(
    "Telemetry",
    (
        Panel("Exported", (Query(EXPORTED, "{{signal}}"),), "ops"),
        Panel(
            "Dropped", (rate("agent_telemetry_dropped_total", "signal, reason"),), "ops", ("AgentApiTelemetryDropped",)
        ),
        Panel(
            "Dropped share",
            (share(DROPPED, f"({DROPPED} + {EXPORTED})", "{{signal}}"),),
            "percentunit",
            ("AgentApiTelemetryDropped",),
        ),
        Panel(
            "Time of a scrape",
            (Query('max by (pod) (scrape_duration_seconds{@,job=~".*agent-api.*"})', "{{pod}}"),),
            "s",
        ),
    ),
)
ROWS = (DEPENDENCIES, PODS, EVENT_LOOP, TELEMETRY)

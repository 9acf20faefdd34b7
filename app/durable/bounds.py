"""What the runs' scripts know of the settings."""

from app.durable.replies import MILLIS
from app.durable.webhooks.message import kept_seconds
from app.limits.checks import TAG
from app.settings import Settings
from app.settings.kinds import DAY

FIRST_RUNS = 10
"""So many of an owner's runs that are not over have the priority that they were made with. Further ones are of low
priority: whoever has many waits for those who have few."""

LONGEST_SECONDS = 7 * DAY
"""The most that APPROVAL_SECONDS can be."""


def bounds_of(settings: Settings) -> str:
    """As run.lua needs them."""
    bounds = {
        "lease": round(settings.run_lease_seconds * MILLIS),
        "crashes": settings.run_crashes,
        "queue": settings.run_queue_seconds * MILLIS,
        "ttl": settings.run_ttl_seconds,
        "events": settings.run_events,
        "runs": settings.runs_per_user,
        "first": FIRST_RUNS,
        "delivery": kept_seconds(settings),
        "longest": LONGEST_SECONDS,
    }
    words = ", ".join(f"{name} = {value}" for name, value in bounds.items())
    return f"local TAG, bounds = '{TAG}', {{ {words} }}\n"

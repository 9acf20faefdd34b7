"""Settings of runs that go on by themselves: workers, the queue, how long runs are kept, webhooks, batches."""

from pathlib import Path

from pydantic import BaseModel, Field

from app.settings.kinds import DAY, GIB, YEAR, Hosts, QueueUrl, Seconds


class DurableSettings(BaseModel):
    workers: int = Field(
        4,
        ge=0,
        le=1_000,
        description="Background runs that this process works on at once; 0 leaves them to `python -m app worker`",
    )
    run_queue_url: QueueUrl = Field(
        None,
        description="Where workers are called from, `redis://`, `rediss://` or `postgresql://`; unset: REDIS_URL, and "
        "without it the process itself",
    )
    run_lease_seconds: float = Field(
        6, ge=1, le=60, description="How long after its worker's death another one may go on with a run"
    )
    run_crashes: int = Field(
        3, ge=1, le=100, description="After how many deaths of its workers a run is given up as failed"
    )
    background_timeout_seconds: Seconds = Field(
        3_600, description="Deadline of a background run, from its first work on, over all its workers"
    )
    run_queue_seconds: int = Field(
        DAY, ge=1, le=YEAR, description="How long a run waits for a worker before it expires"
    )
    run_ttl_seconds: int = Field(
        DAY, ge=60, le=YEAR, description="How long a run that is over, and its events, can be read"
    )
    run_events: int = Field(
        10_000, ge=100, le=1_000_000, description="Events that are kept of a run; the oldest go first"
    )
    runs_per_user: int = Field(
        1_000,
        ge=1,
        le=1_000_000,
        description="Runs that are kept of a user, or of the anonymous callers at an address; the oldest that are over "
        "go first",
    )
    webhook_secrets_dir: Path | None = Field(
        None,
        description="Folder with a file for each secret that webhooks may be signed with, named as requests name it",
    )
    webhook_hosts: Hosts = Field(
        (),
        description="Hosts beside those with public addresses that webhooks may be sent to, comma-separated; "
        "`.internal` stands for all hosts below it",
    )
    batch_inputs: int = Field(10_000, ge=1, le=100_000, description="Maximum inputs of a batch")
    batch_body_bytes: int = Field(
        33_554_432,
        ge=1024,
        le=GIB,
        description="Maximum size of a batch that is sent as JSON lines, in bytes; they are not held in memory",
    )
    batches_per_user: int = Field(20, ge=1, le=10_000, description="Batches that are kept of a user")
    batch_providers: bool = Field(
        True, description="Send batches through the provider's own batch API where it has one, at its lower price"
    )

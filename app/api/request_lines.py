"""A request's line in the log: what was asked, by whom, and what became of it and of its run."""

from typing import Any

from msgspec.structs import asdict
from starlette.types import Scope

from app.api.served_run import kept_run
from app.runs.report import RunReport
from app.telemetry.logs import log
from app.telemetry.scrubbing import without_credentials


def write_line(scope: Scope, method: str, status: int, seconds: float, peer: str, report: RunReport | None) -> None:
    """`peer` is the client's address; `report` is what the run came to that the request asked for."""
    fields: dict[str, Any] = {
        "method": method,
        "path": without_credentials(scope["path"]),
        "status": status,
        "latency_ms": round(seconds * 1000, 2),
        "peer": peer,
    }
    if report is not None:
        fields |= _of_run(report)
    elif (kept := kept_run(scope)) is not None:
        fields |= asdict(kept)
    log.note("request", fields)


def _of_run(report: RunReport) -> dict[str, Any]:
    """What a request's line says of its run, without what does not apply."""
    fields: dict[str, Any] = {
        "run_id": report.run_id,
        "user": report.user,
        "agent": report.agent,
        "model": report.model,
        "attempts": report.attempts,
        "outcome": report.outcome,
        "tokens": report.tokens,
        "cost_usd": report.cost_usd,
        "queue_ms": report.queue_ms,
        "cached": report.cached,
    }
    if report.fallback_from is not None:
        fields["fallback_from"] = report.fallback_from
    if report.finish_reason is not None:
        fields["finish_reason"] = report.finish_reason
    if report.ttft_ms is not None:
        fields["ttft_ms"] = report.ttft_ms
    return fields

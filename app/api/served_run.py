"""The run that a request asks for: what it came to is for the request's log line and metrics."""

from starlette.types import Scope

from app.runs.handle import RunHandle
from app.runs.report import RunReport

_RUN = "agent_api.run"


def note_run(scope: Scope, run: RunHandle) -> None:
    """The request is answered by this run."""
    scope[_RUN] = run


def report_of_run(scope: Scope) -> RunReport | None:
    """What the request's run came to, once that is over; None for a request that no run answers."""
    run: RunHandle | None = scope.get(_RUN)
    return None if run is None else run.report

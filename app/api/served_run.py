"""The run that a request asks for, for its log line and metrics: what it came to, or which it is."""

from msgspec import Struct
from starlette.types import Scope

from app.runs.handle import RunHandle
from app.runs.report import RunReport

_RUN = "agent_api.run"
_KEPT = "agent_api.kept_run"


def note_run(scope: Scope, run: RunHandle) -> None:
    """The request is answered by this run."""
    scope[_RUN] = run


class KeptRun(Struct, frozen=True):
    run_id: str
    user: str
    agent: str


def note_kept_run(scope: Scope, run: KeptRun) -> None:
    """The request is about a run that may outlive it."""
    scope[_KEPT] = run


def kept_run(scope: Scope) -> KeptRun | None:
    run: KeptRun | None = scope.get(_KEPT)
    return run


def report_of_run(scope: Scope) -> RunReport | None:
    """What the request's run came to, once that is over; None for a request that no run answers."""
    run: RunHandle | None = scope.get(_RUN)
    return None if run is None else run.report

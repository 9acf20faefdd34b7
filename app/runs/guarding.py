"""What comes in with a run is checked, before anything is made of it."""

from collections.abc import Iterator

from app.access.on_record import entry_of
from app.access.principal import Principal
from app.agents.definition import Agent
from app.errors import UnsafeInput
from app.messages import ToolMessage
from app.runs.context import Services
from app.runs.request import RunRequest
from app.safety.verdict import ALLOWED, Source, Verdict
from app.telemetry import metrics
from app.telemetry.exemplars import exemplar
from app.telemetry.logs import log


def check_input(
    services: Services, principal: Principal, agent: Agent, request: RunRequest, run_id: str = ""
) -> Verdict:
    """The verdict on what the caller has written: the message, what was said before by their word, and their system
    prompt. Raises UnsafeInput, and GuardUnavailable where there is no verdict."""
    guard = services.guard
    if guard is None or agent.guarding.input == "off":
        return ALLOWED
    decided = ALLOWED
    for text, source in _texts(request):
        verdict = guard.check(text, source)
        if verdict.kind == "block":
            decided = verdict
            break
        if verdict.kind == "flag" and decided is ALLOWED:
            decided = verdict
    if decided is ALLOWED:
        return ALLOWED
    refused = decided.kind == "block" and agent.guarding.input == "block"
    note(services, principal, agent, decided, run_id, refused=refused)
    if refused:
        raise UnsafeInput(decided.category)
    return Verdict("flag", decided.rule, decided.category)


def _texts(request: RunRequest) -> Iterator[tuple[str, Source]]:
    yield request.message, "user"
    if request.system is not None:
        yield request.system, "system"
    for message in request.history or ():
        if not isinstance(message, ToolMessage):
            yield message.content, "user"


def note(
    services: Services,
    principal: Principal,
    agent: Agent,
    verdict: Verdict,
    run_id: str,
    *,
    refused: bool,
) -> None:
    """Counted, logged and put on record; nothing of the text is."""
    kind = "block" if refused else "flag"
    metrics.GUARD_VERDICTS.labels(verdict.rule, kind).inc(1, exemplar())
    fields = {"rule": verdict.rule, "category": verdict.category, "verdict": kind, "agent": agent.name}
    log.note("guard.verdict", {**fields, "run_id": run_id} if run_id else fields)
    services.audit.note(
        entry_of(
            principal,
            "guard",
            "refused" if refused else "flagged",
            on=agent.name,
            why=verdict.rule,
            policy=services.guard.policy if services.guard is not None else "",
            run_id=run_id,
        )
    )

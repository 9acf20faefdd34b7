"""The page: one run from its admission to its last event. Each step is a function here or in a module beside it."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from functools import partial
from time import perf_counter
from typing import Any

from app.errors import AppError, DeadlineExceeded, StateUnavailable
from app.models.tiers import AUTO
from app.runs import cache, routing, spans
from app.runs.candidates import stay
from app.runs.cleaning import clean_error
from app.runs.context import RunContext
from app.runs.ending import end_cancelled, end_crashed, fail_with, finish, with_content
from app.runs.events import RunStarted
from app.runs.guarding import check_input
from app.runs.handle import RunHandle
from app.runs.judging import judged
from app.runs.loop import loop
from app.runs.pausing import pause
from app.runs.resuming import resume
from app.runs.steps import Asked
from app.state.sessions import Recalled
from app.telemetry.context import current
from app.telemetry.conventions import GUARD_CATEGORY, GUARD_RULE, GUARD_VERDICT, INVOKE_AGENT
from app.telemetry.logs import log
from app.telemetry.redactions import of_run


async def execute(run: RunContext, handle: RunHandle) -> None:
    """Emit the run's events; what it used is settled, and what was said kept, however it ends."""
    if run.redactor is not None:
        of_run.set(Counter())
    name, begun = f"{INVOKE_AGENT} {run.agent.name}", spans.Begun.of(run)
    with run.services.tracing.span(name, spans.of_run, begun, links=run.links) as run.span:
        try:
            await _begin(run, handle)
            await _work(run, handle)
            await (pause(run, handle) if run.state.paused else finish(run, handle))
        except AppError as error:
            await fail_with(run, handle, clean_error(run, error))
        except asyncio.CancelledError as error:
            await end_cancelled(run, handle, error)
            raise
        except Exception:  # the client sees the request id, the log has the stack
            log.exception("agent.request.crashed")
            await end_crashed(run, handle)
        finally:
            if run.flight is not None:
                run.flight.leave()
            if run.span.is_recording():
                spans.end(run)


async def _begin(run: RunContext, handle: RunHandle) -> None:
    if run.journal is not None and run.journal.earlier is not None:
        await resume(run, handle, run.journal.earlier)
    else:
        headers = await _admit_and_recall(run, handle)
        _check(run)
        _start(run, headers)
    if run.journal is not None:
        run.journal.mark()


def recall(run: RunContext) -> Coroutine[Any, Any, Recalled] | None:
    """Ask for what the run's session holds; None: nothing that counts."""
    return None if run.request.session_id is None or run.request.history is not None else run.memory.ask()


async def _admit_and_recall(run: RunContext, handle: RunHandle) -> Mapping[str, str]:
    """In one round trip to the store. Returns headers that tell the caller where they stand."""
    memory = run.memory
    asked = run.recalled or recall(run)
    if run.agent.cache.enabled and asked is None and run.request.history is None:
        cache.ask_early(run)
    try:
        headers = await run.services.limiter.reserve(run.reservation, handle.fail)
    except BaseException:
        if asked is not None:
            asked.close()
        raise
    run.admitted = True
    if run.reservation.degraded:
        memory.degraded.append("limits")
    if asked is not None:
        try:
            recalled = await asked
        except StateUnavailable as error:
            memory.not_recalled(error)
        else:
            stay(run, recalled.turns)
            if run.router is not None:
                run.earlier = routing.highest_tier(run.router, recalled.turns)
            memory.recall(recalled, run.model, run.costs.system_prompt, run.costs.beside_tokens)
    elif run.request.history is not None:
        memory.take(run.request.history, run.model, run.costs.system_prompt, run.costs.beside_tokens)
    return headers


def _check(run: RunContext) -> None:
    """Raises UnsafeInput, GuardUnavailable: nothing has happened then, but the caller's rates are counted."""
    if (verdict := run.verdict) is None:
        verdict = check_input(run.services, run.principal, run.agent, run.request, run.reservation.run_id)
    if verdict.kind != "allow" and run.span.is_recording():
        run.span.add_event(GUARD_VERDICT, {GUARD_RULE: verdict.rule, GUARD_CATEGORY: verdict.category})


def _start(run: RunContext, headers: Mapping[str, str]) -> None:
    memory, ids = run.memory, current.get()
    model = run.model.ref if run.router is None else AUTO
    run_id = run.reservation.run_id
    run.emit(RunStarted(memory.session_id, memory.message_id, run_id, model, ids.request_id, ids.trace_id, headers))
    fields: dict[str, object] = {
        "run_id": run_id,
        "user": run.principal.user,
        "session_id": memory.session_id,
        "agent": run.agent.name,
    }
    log.note("agent.request.start", with_content(run, fields, run.request.message))
    run.record(Asked(tuple(memory.conversation), memory.tainted))


async def _work(run: RunContext, handle: RunHandle) -> None:
    """Raises DeadlineExceeded when it takes too long: with a journal, from the begin in the first process on."""
    seconds = left = run.agent.timeout_seconds
    if run.journal is not None:
        seconds = run.journal.seconds
        left = seconds - (perf_counter() - run.started)
    run.ends_at = asyncio.get_running_loop().time() + left
    try:
        async with asyncio.timeout_at(run.ends_at) as deadline:
            if left <= 0:
                await asyncio.sleep(0)  # for the deadline
            work = loop if run.router is None else partial(routing.choose_and_loop, run.router)
            cached = run.agent.cache.enabled and not (run.state.iterations or run.state.reused)
            async with judged(run, handle):
                await (cache.answer(run, handle, work) if cached else work(run))
    except TimeoutError:
        if not deadline.expired():
            raise
        raise DeadlineExceeded(f"The run did not finish within {seconds:g} s. Ask for less at once.") from None

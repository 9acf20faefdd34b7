"""The exact cache: an equal request is given the same answer again, and of those at the same time one makes it."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from time import perf_counter

from app.errors import BudgetExceeded, ModelError, RequestTooExpensive, StateUnavailable
from app.runs.cache_key import key_of, scope_of
from app.runs.candidates import was_sent
from app.runs.context import RunContext
from app.runs.handle import RunHandle
from app.runs.spans import looked_up
from app.runs.steps import AnswerReused
from app.state.answer_cache import Found, KeptAnswer
from app.state.flights import Flight
from app.telemetry.metrics import CACHE_LOOKUPS

_series = lru_cache(CACHE_LOOKUPS.labels)

Work = Callable[[RunContext], Awaitable[None]]


def ask_early(run: RunContext) -> None:
    """Look the answer up together with the admission: for a run whose conversation is its question alone."""
    if not run.request.cache_control:
        _begin(run)


async def answer(run: RunContext, handle: RunHandle, work: Work) -> None:
    """End the run with a cached answer, or by `work`, whose answer is kept if it may be: also when the reader has left
    and others wait for it.

    Raises what `work` raises, unless that is for want of a model and a stale answer is kept.
    """
    if run.request.cache_control == "no-store" or run.memory.degraded:
        _looked_up(run, "bypass")
        if run.flight is not None:
            run.flight.leave()
        await work(run)
    elif not (await _answered(run) or await _answered_similarly(run)):
        if run.flight is not None:
            handle.outlive = run.flight.outlive
        await _make(run, work)


async def _answered(run: RunContext) -> bool:
    """Whether the cache had the answer."""
    if run.request.cache_control == "no-cache":
        _looked_up(run, "bypass")
        return False
    flight = run.flight or _begin(run)
    began = perf_counter()
    try:
        found = await flight.find()
    except StateUnavailable:
        _looked_up(run, "error")
        return False
    finally:
        run.outside_seconds += perf_counter() - began if flight.absent else 0.0
    usable = _usable(run, found)
    _looked_up(run, ("joined" if flight.absent else "hit") if usable else "miss")
    if usable:
        _reuse(run, usable, found.age_seconds)
    return usable is not None


async def _answered_similarly(run: RunContext) -> bool:
    """Whether the cache had the answer to a nearly equal question."""
    similar, cached = run.services.similar, run.services.flights.cache
    if similar is None or run.request.cache_control or _has_secret(run):
        return False

    async def load(key: str) -> Found | None:
        found = await cached.read(key)
        return found if _usable(run, found) and found.age_seconds <= run.agent.cache.ttl_seconds else None

    began = perf_counter()
    try:
        found = await similar.find_similar(scope_of(run), run.memory.question.content, load, run.pay)
    finally:
        run.outside_seconds += perf_counter() - began
    looked_up(run, "similar" if found is not None and found.answer is not None else "not_similar")
    if found is not None and found.answer is not None:
        _reuse(run, found.answer, found.age_seconds)
    return run.state.reused is not None


def _has_secret(run: RunContext) -> bool:
    """Whether the question is one that may not be written down: it is like no other, either. Raises
    GuardUnavailable."""
    question = run.memory.question.content
    return run.clean(question) != question


def _usable(run: RunContext, found: Found) -> KeptAnswer | None:
    """The answer, if the caller may use the tools that it took."""
    kept = found.answer
    return kept if kept is not None and all(tool in run.tools.registry for tool in kept.tools) else None


async def _make(run: RunContext, work: Work) -> None:
    key = run.flight.key if run.flight is not None else key_of(run)
    try:
        await work(run)
    except (ModelError, BudgetExceeded, RequestTooExpensive) as error:
        if not (isinstance(error, ModelError) or any(isinstance(failure, ModelError) for failure in run.failures)):
            raise
        _land(run, key, None)
        if not (run.agent.cache.stale_seconds and not run.request.cache_control) or not await _give_stale(run, key):
            raise
    else:
        _land(run, key, _to_keep(run))


def _looked_up(run: RunContext, result: str) -> None:
    _series(result).inc()
    looked_up(run, result)


def _begin(run: RunContext) -> Flight:
    cache = run.agent.cache
    run.flight = run.services.flights.begin(key_of(run), run.reservation.run_id, cache.ttl_seconds)
    return run.flight


def _land(run: RunContext, key: str, kept: KeptAnswer | None) -> None:
    seconds = run.agent.cache.ttl_seconds + run.agent.cache.stale_seconds
    if kept is not None and run.services.similar is not None and not _has_secret(run):
        run.services.similar.keep_similar(scope_of(run), run.memory.question.content, key, run.agent.cache.ttl_seconds)
    if run.flight is not None:
        run.flight.land(kept, seconds)
    elif kept is not None:
        run.services.flights.cache.keep(key, run.reservation.run_id, kept, seconds)


def _to_keep(run: RunContext) -> KeptAnswer | None:
    """The run's answer, if it is one for others: whole, undegraded, and with no tool that may say another thing."""
    state, registry = run.state, run.tools.registry
    degraded = run.memory.degraded or state.results_shortened or run.fallback_from is not None
    if state.finish_reason != "stop" or degraded:
        return None
    for call in state.tool_calls:
        tool = registry.get(call.name)
        if tool is None or not tool.pure or call.status != "ok":
            return None
    tools = tuple(dict.fromkeys(call.name for call in state.tool_calls))
    return KeptAnswer(state.text, run.model.ref, tools, state.sources)


async def _give_stale(run: RunContext, key: str) -> bool:
    """End the run with an answer of any age, if no other text went out before."""
    if was_sent(run):
        return False
    try:
        found = await run.services.flights.cache.read(key)
    except StateUnavailable:
        return False
    kept = _usable(run, found)
    if kept is None:
        return False
    _looked_up(run, "stale")
    run.memory.degraded.append("stale")
    run.memory.model = ""  # the session's next turn begins with the first model again
    _reuse(run, kept, found.age_seconds, stale=True)
    return True


def _reuse(run: RunContext, kept: KeptAnswer, age_seconds: float, *, stale: bool = False) -> None:
    run.pieces.clear()
    text, sources = run.clean(kept.text), run.clean(kept.sources)
    run.tell_whole(text)
    run.record(AnswerReused(text, kept.model, round(age_seconds, 3), sources, stale))
    run.pieces.clear()

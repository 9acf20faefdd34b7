"""A run that asks for `auto`: its model is chosen by its question, once, before its first model call."""

from collections.abc import Sequence
from time import perf_counter

from app.errors import RequestTooExpensive
from app.messages import Turn
from app.models.decisions import Question
from app.models.protocol import ModelRequest
from app.models.router import Router
from app.models.tiers import Tier, rank
from app.runs.context import RunContext
from app.runs.estimates import most_input_tokens, most_of_output
from app.runs.loop import loop
from app.telemetry.conventions import ROUTE_REASON, ROUTE_TIER
from app.telemetry.logs import log


async def choose_and_loop(router: Router, run: RunContext) -> None:
    """As `loop`, with the model that the question needs."""
    if not run.routed:
        await _choose(router, run)
    await loop(run)


def highest_tier(router: Router, turns: Sequence[Turn]) -> Tier | None:
    """The strongest tier that has answered a turn of the session."""
    tiers = {model.ref: model.tier for model in router.tiers}
    return max((tier for turn in turns if (tier := tiers.get(turn.model))), key=rank, default=None)


async def _choose(router: Router, run: RunContext) -> None:
    costs, refs = run.costs, run.agent.models
    read = most_input_tokens(costs.system_prompt, run.state.all_messages(), costs.beside_tokens)
    question = Question(run.request.message, read, bool(run.tools.specs), run.earlier)

    async def ask(ref: str, request: ModelRequest) -> str:
        return await _ask(run, ref, request)

    decision = await router.route(question, ask, router.among(refs))
    by_ref = {candidate.model.ref: candidate for candidate in run.candidates}
    run.candidates = tuple([by_ref[ref] for ref in router.fallbacks(decision, refs)])
    run.use(run.candidates[0])
    run.routed = True
    run.memory.model = decision.ref
    log.info("model.routed", model=decision.ref, tier=decision.tier, reason=decision.reason)
    run.span.set_attributes({ROUTE_TIER: decision.tier, ROUTE_REASON: decision.reason})


async def _ask(run: RunContext, ref: str, request: ModelRequest) -> str:
    """The model's text, which the run pays for. Raises RequestTooExpensive where what it holds does not cover that."""
    model, allowance = run.services.models[ref], run.reservation.allowance
    read = most_input_tokens(request.system, request.messages, 0)
    tokens, nanos = most_of_output(model.dearest, read, request.max_tokens)
    if tokens > allowance.tokens or nanos > allowance.nanos:
        raise RequestTooExpensive("The run has nothing left to choose its model with.")
    pieces: list[str] = []
    started = perf_counter()
    try:
        await model.generate(request, pieces.append, on_attempt=run.pay)
    finally:
        run.outside_seconds += perf_counter() - started
    return "".join(pieces)

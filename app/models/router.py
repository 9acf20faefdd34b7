"""`auto`: which of the tiers' models answers a question. What is unsure goes to the strongest."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from app.errors import AppError, ConfigurationError, NotFound
from app.models.classifying import classification, tier_in
from app.models.decisions import Decision, Question, Unsure, decide
from app.models.prices import Price, dearest_of
from app.models.protocol import ModelRequest
from app.models.resilient import ResilientModel
from app.models.tiers import AUTO, TIERS, Tier, TierModel, parse_tiers, rank
from app.settings import Settings
from app.telemetry import metrics

Generate = Callable[[str, ModelRequest], Awaitable[str]]
"""Has the model of a reference answer, and books what that costs. May raise AppError."""


class Router:
    """Built once a process, from MODEL_TIERS and ROUTER_MODEL."""

    def __init__(
        self,
        tiers: Sequence[TierModel],
        models: Mapping[str, ResilientModel],
        classifier: str | None,
        timeout_seconds: float,
    ) -> None:
        self.tiers = tuple(tiers)
        self.refs = tuple(model.ref for model in tiers)
        """By tier, the weakest first."""
        self.classifier = classifier
        prices = [models[ref].dearest for ref in (*self.refs, *([classifier] if classifier else []))]
        self.dearest: Price = dearest_of(prices)
        """What a reservation reckons with."""
        self._others = tuple(ref for ref in models if ref not in self.refs)
        self._timeout = timeout_seconds
        # Costs 30 ms, which a service without tiers need not spend.
        from app.models.routing_rules import build_judge

        self._judge = build_judge()

    def answers(self, name: str | None, refs: Collection[str] = ()) -> bool:
        """Whether `auto` answers a request that names this model, of an agent with this list: it is asked for and on
        the list, or nothing is and the list begins with it. An empty list is as one that begins with it."""
        return not refs or AUTO in refs if name == AUTO else name is None and (not refs or next(iter(refs)) == AUTO)

    def among(self, refs: Collection[str]) -> tuple[TierModel, ...]:
        """The tiers whose models are in an agent's list; an empty one, and `auto` alone, has all. Raises NotFound."""
        named = [ref for ref in refs if ref != AUTO]
        found = tuple(model for model in self.tiers if not named or model.ref in named)
        if not found:
            raise NotFound(f"`{AUTO}` has no tier for this agent, whose models are {', '.join(named)}.")
        return found

    def order(self, refs: Collection[str] = ()) -> tuple[str, ...]:
        """As `fallbacks`, before there is a decision: the strongest tier first. Raises NotFound."""
        strongest = self.among(refs)[-1]
        return self.fallbacks(Decision(strongest.tier, strongest.ref, "unsure"), refs)

    async def route(self, question: Question, generate: Generate, tiers: Sequence[TierModel] = ()) -> Decision:
        """The decision, counted. Where the rules are unsure, `generate` asks the classifier once."""
        decision = decide(question, tiers or self.tiers, self._judge)
        if isinstance(decision, Unsure):
            decision = await self._classified(question, decision, generate)
        metrics.ROUTED.labels(decision.tier, decision.reason).inc()
        return decision

    async def _classified(self, question: Question, unsure: Unsure, generate: Generate) -> Decision:
        tier: Tier | None = None
        if self.classifier is not None:
            try:
                async with asyncio.timeout(self._timeout):
                    tier = tier_in(await generate(self.classifier, classification(question.text)))
            except (AppError, TimeoutError):
                tier = None
        return unsure.decided(TIERS[-1], "unsure") if tier is None else unsure.decided(tier, "classifier")

    def fallbacks(self, decision: Decision, refs: Collection[str] = ()) -> tuple[str, ...]:
        """References to try in this order: the decision's model, the stronger tiers, the weaker ones from the strongest
        down, then the other models; of an agent's list only, unless that is empty or `auto` alone."""
        named = [ref for ref in refs if ref != AUTO] or [*self.refs, *self._others]
        chosen = rank(decision.tier)
        stronger = [model.ref for model in self.tiers if rank(model.tier) > chosen]
        weaker = [model.ref for model in reversed(self.tiers) if rank(model.tier) < chosen]
        order = dict.fromkeys([decision.ref, *stronger, *weaker, *named])
        return tuple(ref for ref in order if ref in named)


def build_router(settings: Settings, models: Mapping[str, ResilientModel]) -> Router | None:
    """None without MODEL_TIERS. Raises ConfigurationError."""
    classifier = settings.router_model
    if classifier and classifier not in models:
        raise ConfigurationError(f"ROUTER_MODEL: not in MODELS, which has {', '.join(models)}")
    if not settings.model_tiers:
        if classifier:
            raise ConfigurationError("ROUTER_MODEL: is of no use without MODEL_TIERS; set that too")
        return None
    return Router(parse_tiers(settings, models), models, classifier or None, settings.router_timeout_seconds)

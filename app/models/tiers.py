"""MODEL_TIERS: the models that `auto` chooses from, and which of them a question fits."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from app.errors import ConfigurationError
from app.models.options import NO_OPTIONS, parse
from app.models.resilient import ResilientModel
from app.settings import Settings

AUTO = "auto"
"""What requests and agents' files call the choice among the tiers."""

Tier = Literal["simple", "medium", "complex"]
TIERS: tuple[Tier, ...] = get_args(Tier)
"""From the weakest to the strongest."""


class TierModel(Struct, frozen=True):
    """The model of a tier, as far as the choice goes."""

    tier: Tier
    ref: str
    context_window: int | None = None
    tools: bool = True


class _Setting(Struct, frozen=True, forbid_unknown_fields=True):
    simple: str
    complex: str
    medium: str | None = None


def parse_tiers(settings: Settings, models: Mapping[str, ResilientModel]) -> tuple[TierModel, ...]:
    """The tiers from the weakest to the strongest. Raises ConfigurationError."""
    example = f'{{"simple": "{next(reversed(list(models)))}", "complex": "{next(iter(models))}"}}'
    try:
        read = msgspec.json.decode(settings.model_tiers, type=_Setting)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ConfigurationError(f"MODEL_TIERS: {error}; set it as in {example}") from None
    options = parse(settings.model_options, settings.models)
    refs: dict[Tier, str | None] = {"simple": read.simple, "medium": read.medium, "complex": read.complex}
    tiers: list[TierModel] = []
    for tier, ref in refs.items():
        if ref is None:
            continue
        if ref not in models:
            raise ConfigurationError(f"MODEL_TIERS: {tier}: not in MODELS, which has {', '.join(models)}")
        tiers.append(TierModel(tier, ref, models[ref].context_window, options.get(ref, NO_OPTIONS).tools))
    return tuple(tiers)


def at_least(tier: Tier, among: Sequence[TierModel]) -> TierModel:
    """The model of this tier; where there is none, of the next stronger; else the strongest."""
    return next((model for model in among if rank(model.tier) >= rank(tier)), among[-1])


def rank(tier: Tier | None) -> int:
    """0 for the weakest; below it for None."""
    return -1 if tier is None else TIERS.index(tier)

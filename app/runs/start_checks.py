"""Settings that would let the process start and no run through: refused at the start."""

from collections.abc import Collection, Mapping

from app.agents.definition import Agent, least_seconds
from app.errors import ConfigurationError
from app.limits.tiers import parse
from app.messages import NANOS, UserMessage
from app.models.resilient import ResilientModel
from app.runs.estimates import most_input_tokens, most_of_output
from app.runs.toolset import toolset
from app.settings import Settings
from app.tools.registry import Registry


def check_settings(settings: Settings, models: Mapping[str, ResilientModel], tools: Registry, default: Agent) -> None:
    """`tools` are all that there are. Raises ConfigurationError for limits that no model call fits, and limits of tools
    that are not there."""
    _check_limits(settings, tools)
    _check_embedding_model(settings)
    if settings.run_timeout_seconds < (needed := least_seconds(len(models))):
        raise ConfigurationError(
            f"RUN_TIMEOUT_SECONDS: is too short for the last of MODELS to be reached when the others fall silent; set "
            f"{needed:g} or more"
        )
    offered = toolset(tools.subset(default.tools))
    read = most_input_tokens(offered.told(settings.system_prompt), [UserMessage("?")], offered.most_tokens)
    for ref, model in models.items():
        tokens, nanos = most_of_output(model.dearest, read, 1)
        if tokens > settings.max_run_tokens:
            raise ConfigurationError(
                f"MAX_RUN_TOKENS: is too small for any call of {ref}: the system prompt, the tools and one token of an "
                f"answer are counted as {tokens}; set that or more"
            )
        if nanos - 1 > settings.max_cost_usd * NANOS:  # 1: of rounding, even where a model is free
            raise ConfigurationError(
                f"MAX_COST_USD: is too small for any call of {ref}: the system prompt, the tools and one token of an "
                f"answer may cost ${nanos / NANOS:.6f}; set that or more"
            )


def _check_limits(settings: Settings, tools: Collection[str]) -> None:
    for name, tier in parse(settings.limits).tiers.items():
        if unknown := sorted(tier.tools.keys() - {"*", *tools}):
            known = ", ".join(sorted(tools))
            raise ConfigurationError(
                f"LIMITS: tiers.{name}.tools: there is no tool {', '.join(unknown)}; known: {known}"
            )


def _check_embedding_model(settings: Settings) -> None:
    ref = settings.embedding_model
    provider, _, name = ref.partition("/")
    if ref and not (provider in ("ollama", "openai") and name and name.isprintable() and " " not in name):
        raise ConfigurationError(
            f"EMBEDDING_MODEL: `{ref}` is not a model that embeds; known are ollama/NAME and openai/NAME"
        )
    if settings.similar_answers != "never" and not ref:
        raise ConfigurationError(
            "SIMILAR_ANSWERS: needs EMBEDDING_MODEL, such as `ollama/nomic-embed-text`; or set it to never"
        )

"""MODEL_OPTIONS: what the operator knows of a model that its provider does not tell, or wants of it."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from app.errors import ConfigurationError

_RESERVED = frozenset(
    {
        "model",
        "messages",
        "system",
        "stream",
        "tools",
        "n",
        "max_tokens",
        "max_completion_tokens",
        "num_ctx",
        "num_predict",
    }
)
Rate = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class PriceOptions(BaseModel):
    """US dollars a million tokens. Cached tokens cost what the others do, unless they have a price of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Rate
    output: Rate
    cache_read: Rate | None = None
    cache_write: Rate | None = None


class ModelOptions(BaseModel):
    """The options of one model; all are optional."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tools: Annotated[bool, Field(strict=True)] = True
    """Whether the model is told of tools."""
    context_window: Annotated[int, Field(strict=True, ge=256, le=100_000_000)] | None = None
    """Tokens of a request and its answer together."""
    reasons: Annotated[bool, Field(strict=True)] | None = None
    """Whether the model is known to think before it answers. Without it the name tells, and then the answers."""
    price: PriceOptions | None = None
    parameters: dict[str, Any] = {}
    """Further parameters of each request, as its API has them."""

    @field_validator("parameters")
    @classmethod
    def _check(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        nested = parameters.get("options")
        names = parameters.keys() | (nested.keys() if isinstance(nested, dict) else set())
        if reserved := sorted(_RESERVED & names):
            raise ValueError(f"{', '.join(reserved)} cannot be set here, since the service sets it itself")
        return parameters


NO_OPTIONS = ModelOptions()
_OPTIONS = TypeAdapter(dict[str, ModelOptions])


def parse(text: str, models: Collection[str]) -> Mapping[str, ModelOptions]:
    """The options by model reference. Raises ConfigurationError that names each bad value by its place."""
    try:
        options = _OPTIONS.validate_json(text or "{}")
    except ValidationError as error:
        problems = [
            f"MODEL_OPTIONS: {'.'.join(str(part) for part in item['loc']) or 'the text'}: "
            f"{item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError("\n".join(problems)) from None
    if unknown := [ref for ref in options if ref not in models]:
        raise ConfigurationError(f"MODEL_OPTIONS: {', '.join(unknown)}: not in MODELS, which has {', '.join(models)}")
    return options

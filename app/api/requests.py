"""What the routes take, for validation and for the OpenAPI document."""

from typing import Annotated, Any

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, RootModel

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["ada"])]
Name = Annotated[str, Field(max_length=256)]

_STRICT = ConfigDict(extra="forbid", strict=True)


def _required_first(schema: dict[str, Any]) -> None:
    properties = schema["properties"].items()
    schema["properties"] = dict(sorted(properties, key=lambda item: item[0] not in schema["required"]))


def _printable(text: str) -> str:
    """Raises ValueError for a name that people could not tell from another."""
    if text.isspace() or not text.isprintable() or "\ufffd" in text:
        raise ValueError("must be printable text in UTF-8")
    return text


UserId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=256,
        description="Whose the conversation is: a name, an e-mail address, `auth0|…`, any printable text. "
        "With credentials it is theirs and can be left out",
        examples=["ada"],
    ),
    AfterValidator(_printable),
]


class _Question(BaseModel):
    model_config = ConfigDict(**_STRICT, json_schema_extra=_required_first)

    session_id: Id | None = Field(None, description="Continues a conversation; made up when left out")
    user_id: UserId | None = None
    model: Name | None = Field(None, description="One of the service's models; the first when left out")
    agent: Name | None = Field(None, description="One of the service's agents; `default` when left out")
    stream: bool = Field(False, description="Answer with server-sent events, as `/chat/stream` does; not when left out")


class ChatRequest(_Question):
    message: str = Field(
        validation_alias=AliasChoices("message", "query"),
        min_length=1,
        description="What to ask. `query` is another name for it; give one of the two",
        examples=["What is 6 * 7?"],
    )


class AgentRunRequest(_Question):
    query: str = Field(
        validation_alias=AliasChoices("query", "message"),
        min_length=1,
        description="The task. `message` is another name for it; give one of the two",
        examples=["What is 6 * 7?"],
    )
    max_iterations: int | None = Field(None, ge=1, le=100, description="Maximum number of model calls")
    max_cost_usd: float | None = Field(None, gt=0, allow_inf_nan=False, description="Cost that ends the run")
    tools: list[Name] | None = Field(
        None, max_length=100, fail_fast=True, description="The tools it may call; all when left out"
    )
    suggestions: bool = Field(
        False, description="Also say how such a run could be cheaper or better; not when left out"
    )


class ToolArguments(RootModel[dict[str, Any]]):
    """The tool's arguments, which its `parameters` describe."""

    model_config = ConfigDict(strict=True, json_schema_extra={"examples": [{"expression": "6 * 7"}]})

"""Bodies of the native routes of runs, for validation and for the OpenAPI document."""

from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from app.api.dialects.native.kept_fields import Answered, Deferred
from app.api.requests import STRICT, Id, Name, UserId


def _required_first(schema: dict[str, Any]) -> None:
    properties = schema["properties"].items()
    schema["properties"] = dict(sorted(properties, key=lambda item: item[0] not in schema.get("required", ())))


class Question(BaseModel):
    """The fields of every native request for a run."""

    model_config = ConfigDict(**STRICT, json_schema_extra=_required_first)

    session_id: Id | None = Field(None, description="Continues a conversation; made up when left out")
    user_id: UserId | None = None
    model: Name | None = Field(None, description="One of the service's models; the first when left out")
    agent: Name | None = Field(None, description="One of the service's agents; `default` when left out")


class ChatRequest(Answered, Question):
    message: str = Field(
        validation_alias=AliasChoices("message", "query"),
        min_length=1,
        description="What to ask. `query` is another name for it; give one of the two",
        examples=["What is 6 * 7?"],
    )


class Said(BaseModel):
    """A message of a conversation."""

    model_config = STRICT

    role: Literal["user", "assistant"]
    content: str


class Choices(BaseModel):
    """What a task may be asked with, each as far as its agent allows it."""

    system: str | None = Field(
        None, min_length=1, description="In place of the agent's prompt, where the agent allows that"
    )
    temperature: float | None = Field(
        None, ge=0, le=2, allow_inf_nan=False, description="Where the agent allows it; the agent's when left out"
    )
    max_tokens: int | None = Field(
        None, ge=1, description="Tokens of the answer, where the agent allows it; the agent's own is the maximum"
    )
    response_format: dict[str, Any] | None = Field(
        None,
        description="JSON schema of type object that the answer has to follow, where the agent allows it",
        examples=[{"type": "object", "properties": {"result": {"type": "number"}}, "required": ["result"]}],
    )
    max_iterations: int | None = Field(None, ge=1, le=100, description="Maximum number of model calls")
    max_cost_usd: float | None = Field(None, gt=0, allow_inf_nan=False, description="Cost that ends the run")
    tools: list[Name] | None = Field(
        None, max_length=100, fail_fast=True, description="The tools it may call; all when left out"
    )


class Task(Choices, Question):
    """A task for an agent, with its limits."""

    query: str | None = Field(
        None,
        validation_alias=AliasChoices("query", "message"),
        min_length=1,
        description="The task. `message` is another name for it; give one of the two, or `messages`",
        examples=["What is 6 * 7?"],
    )
    messages: list[Said] | None = Field(
        None,
        min_length=1,
        max_length=500,
        fail_fast=True,
        description="A conversation, in place of `query` and `session_id`; the last message is the user's task",
    )
    suggestions: bool = Field(
        False, description="Also say how such a run could be cheaper or better; not when left out"
    )


class AgentRunRequest(Answered, Task):
    """A task whose answer the client waits for, unless it says otherwise."""


class RunsRequest(Deferred, Task):
    """A task for a run that goes on by itself."""

    stream: bool = Field(
        False, description="Have the text in the run's events piece by piece, for who follows them; whole when left out"
    )

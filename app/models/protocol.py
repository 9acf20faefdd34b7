"""The one protocol behind which every provider stands."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from app.events import Usage
from app.messages import Message, ToolCall

StopReason = Literal["stop", "max_tokens", "tool_calls"]


class ToolSpec(Struct, frozen=True):
    """A tool as a model is told of it; `parameters` is a JSON schema of type object."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ModelRequest(Struct, frozen=True):
    """One call of a model.

    `stream` asks the provider for tokens as they come; without it the text comes as one `Text` event, which
    costs less. `max_tokens` bounds what the model may write.
    """

    system: str
    messages: Sequence[Message]
    tools: Sequence[ToolSpec] = ()
    max_tokens: int = 1024
    stream: bool = True


class Text(Struct, frozen=True):
    """A piece of the answer; never empty."""

    text: str


class ToolCallRequested(Struct, frozen=True):
    """A complete tool call: its arguments are parsed."""

    call: ToolCall


class Stop(Struct, frozen=True):
    """The end of a complete answer, always the last event. Without it the answer was cut."""

    reason: StopReason
    usage: Usage


ModelEvent = Text | ToolCallRequested | Stop


class Model(Protocol):
    """A model of one provider. Built once a process and shared by all runs."""

    @property
    def ref(self) -> str:
        """As in MODELS: `provider/name`."""

    @property
    def provider(self) -> str:
        """`gen_ai.provider.name` of the OpenTelemetry conventions."""

    @property
    def name(self) -> str:
        """The provider's own name of the model."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """The model's answer. Closing the generator closes the connection to the provider.

        Raises ModelRateLimited, ModelUnavailable or ContextTooLong.
        """

    async def probe(self) -> None:
        """Ask the provider for a sign of life that costs nothing. Raises ModelError."""

    async def aclose(self) -> None: ...

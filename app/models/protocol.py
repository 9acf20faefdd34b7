"""The one protocol behind which every provider stands."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from app.events import Usage
from app.messages import Message, ToolCall

StopReason = Literal["stop", "max_tokens", "tool_calls"]


class ToolSpec(Struct, frozen=True, eq=False):
    """A tool as a model is told of it; `parameters` is a JSON schema of type object. Made once, not once a request."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ModelRequest(Struct, frozen=True):
    """One call of a model.

    `stream` asks the provider for tokens as they come; without it the text comes in one piece, which costs less.
    `max_tokens` bounds what the model may write.
    """

    system: str
    messages: Sequence[Message]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 1024
    stream: bool = True


class Completion(Struct, frozen=True):
    """The end of a complete answer, whose text has been told."""

    stop_reason: StopReason
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    """Complete calls, their arguments parsed."""


OnText = Callable[[str], None]
"""Told each piece of an answer's text; never an empty one."""


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

    async def generate(self, request: ModelRequest, on_text: OnText) -> Completion:
        """Have the model answer; `on_text` is told its text as it comes. Cancelling closes the connection to the
        provider.

        Raises ModelRateLimited, ModelUnavailable or ContextTooLong; then the text told so far is not an answer.
        """

    async def probe(self) -> None:
        """Ask the provider for a sign of life that costs nothing. Raises ModelError."""

    async def aclose(self) -> None: ...

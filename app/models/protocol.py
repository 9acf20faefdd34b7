"""The one protocol behind which every provider stands."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from app.messages import NANOS, AssistantMessage, Extras, Message, ToolCall, Usage

StopReason = Literal["stop", "max_tokens", "tool_calls", "refusal", "content_filter"]

REFUSALS = frozenset({"refusal", "content_filter"})
"""Stop reasons of answers that are none: the model, or its provider's rules for content, refused to answer."""


class ToolSpec(Struct, frozen=True, eq=False):
    """A tool as a model is told of it; `parameters` is a JSON schema of type object. Made once, not once a request."""

    name: str
    description: str
    parameters: Mapping[str, Any]


class ModelRequest(Struct, frozen=True):
    """One call of a model.

    `stream` asks the provider for tokens as they come; without it the text comes in one piece, which costs less.
    `max_tokens` bounds the answer and its tool calls; `max_reasoning_tokens` what a model that reasons may write beside
    them.
    """

    system: str
    messages: Sequence[Message]
    tools: tuple[ToolSpec, ...] = ()
    max_tokens: int = 1024
    stream: bool = True
    max_reasoning_tokens: int = 0
    temperature: float | None = None
    """None: the model's own."""
    response_format: Mapping[str, Any] | None = None
    """The JSON schema that the answer has to follow."""
    conversation: str = ""
    """Identifies what later calls may begin with, too: it is worth being kept in a provider's cache. Empty: nothing."""
    together: bool = False
    """Text that arrives together is told as one piece: for a caller to whom each piece costs."""

    def tool_names(self) -> frozenset[str]:
        """The names of the tools that the model is told of."""
        return frozenset(tool.name for tool in self.tools)

    def call_ids(self) -> set[str]:
        """The ids of the tool calls in its messages."""
        return {
            call.id for message in self.messages if isinstance(message, AssistantMessage) for call in message.tool_calls
        }


class Completion(Struct, frozen=True):
    """The end of a complete answer, whose text has been told."""

    stop_reason: StopReason
    usage: Usage
    tool_calls: tuple[ToolCall, ...] = ()
    """Complete calls, their arguments parsed."""
    extras: Extras | None = None
    """What the provider wants back with this message."""
    reasoning_tokens: int = 0
    """The part of `usage.output_tokens` that is reasoning, as the provider counts it or as estimated."""
    text: str | None = None
    """The answer's text where it is not what was told: then a part of that has turned out to be reasoning."""
    model: str = ""
    """The reference of the model that answered, and what that cost: said by ObservedModel."""
    nanos: int = 0
    attempts: int = 1
    """Calls that this took, those that failed included: said by ResilientModel."""

    @property
    def cost_usd(self) -> float:
        return self.nanos / NANOS


OnText = Callable[[str], None]
"""Told each piece of an answer's text; never an empty one."""

Beside = Literal["reasoning", "arguments"]

OnBeside = Callable[[Beside, str], None]
"""Told what the model writes beside its answer, as it comes: its reasoning, and the arguments of tool calls. An empty
piece says that it wrote what cannot be told yet; ObservedModel keeps that to itself."""


def unheard(_: Beside, __: str) -> None:
    """For callers that ask for the answer only."""


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

    @property
    def context_window(self) -> int | None:
        """Tokens that a request and its answer may have together; None: not known."""

    @property
    def reasons(self) -> bool:
        """Whether the model is known to think before it answers: `max_reasoning_tokens` then counts."""

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        """Have the model answer; `on_text` is told its text as it comes, `on_beside` the rest of what it writes.
        Cancelling closes the connection to the provider.

        Raises ModelRateLimited, ModelUnavailable or ContextTooLong; then the text told so far is not an answer.
        """

    async def probe(self) -> None:
        """Ask the provider for a sign of life that costs nothing. Raises ModelError."""

    async def aclose(self) -> None: ...

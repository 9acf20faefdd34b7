"""What a run has come to so far."""

from collections.abc import Sequence

from msgspec import Struct

from app.messages import AssistantMessage, Message, Usage
from app.runs.events import FinishReason, ToolCallRecord


class Progress(Struct):
    """Outlives a loop that fails, so that what was used and said is known even then."""

    conversation: Sequence[Message] = ()  # up to the user's message
    messages: list[Message] = []  # the turn's, after the user's
    pieces: list[str] = []  # of the answer that the model is giving
    text: str = ""  # of the last model call
    finish_reason: FinishReason = "stop"
    usage: Usage = Usage()
    cost_usd: float = 0.0
    reasoning_tokens: int = 0
    tool_calls: list[ToolCallRecord] = []
    iterations: int = 0
    outside_seconds: float = 0.0  # spent in models and tools
    answer_now: bool = False
    """The model has said nothing: its next call is the last, without tools."""
    results_shortened: bool = False
    """Of tools: they did not fit into the model's context window."""

    def all_messages(self) -> list[Message]:
        """What the model is given next."""
        return [*self.conversation, *self.messages]

    @property
    def refused(self) -> bool:
        return self.finish_reason in ("refusal", "content_filter")

    def interrupted(self) -> list[Message]:
        """The turn's messages after the user's, of a run that did not come to its end."""
        return [*self.messages, AssistantMessage("".join(self.pieces), interrupted=True)]

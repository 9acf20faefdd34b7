"""The hand-over to a person. Only agents that list it have it."""

from typing import Annotated

from pydantic import Field

from app.tools.context import ToolContext
from app.tools.tool import tool

SAID = (
    "A person has been asked to take over. Tell the user so in one or two sentences, in their language, without "
    "promising when, and do not go on with the task yourself."
)


@tool(effect="idempotent", trusted=True)
async def hand_over_to_human(
    context: ToolContext,
    reason: Annotated[str, Field(description="Why a person is needed, in one sentence", min_length=1, max_length=500)],
    summary: Annotated[
        str, Field(description="What the person has to know: what was asked, what was done", max_length=2000)
    ] = "",
) -> str:
    """Hand this conversation over to a person. Use it when the user asks for a human, when you lack the permission or
    the knowledge to help, or when the matter is urgent or sensitive."""
    context.hand_over(reason, summary)
    return SAID

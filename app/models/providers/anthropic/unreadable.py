"""The failure in an answer that is not as Anthropic's API has it."""

import msgspec

from app.errors import AppError
from app.models.providers.failures import unavailable
from app.models.providers.openai.finish import failure_in


def unreadable(data: bytes, error: Exception) -> AppError:
    """An error in a shape of its own is one, too."""
    try:
        said = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = None
    if isinstance(said, dict) and (said.get("error") or said.get("object") == "error" or said.get("type") == "error"):
        return failure_in(data)
    return unavailable("broken_answer", type(error).__name__, words=str(error))

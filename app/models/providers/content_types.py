"""The content types of answers. Servers say `text/plain` or nothing of JSON; but a page of HTML is never an answer."""

from app.errors import AppError, ModelUnavailable
from app.models.providers.causes import content_type_told
from app.models.providers.failures import unavailable

_OF_ANSWERS = ("json", "event-stream", "octet-stream", "text/plain")
_UNREADABLE = ("broken_answer", "cut_stream")


def mistaken(error: AppError, content_type: str) -> ModelUnavailable | None:
    """The failure that says more of an answer that could not be read, if its type tells that it is none."""
    kind = content_type.partition(";")[0].strip().lower()
    if not kind or kind.endswith(_OF_ANSWERS):
        return None
    if not (isinstance(error, ModelUnavailable) and error.reason in _UNREADABLE):
        return None
    return unavailable(
        "wrong_content_type", f"{content_type_told(kind)}: {error.cause}", words=f"{kind}: {error.words}"
    )

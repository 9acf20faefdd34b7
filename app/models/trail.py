"""What the model calls of one run have in common."""

from collections.abc import Sequence

from msgspec import Struct
from opentelemetry.trace import INVALID_SPAN, Link, Span


class Trail(Struct):
    """The model calls of one run: the span of a call that replaces another one links to it."""

    last: Span = INVALID_SPAN
    replaced: Span | None = None
    attempts: int = 0
    """Of the call that goes on or has failed."""
    queued_seconds: float = 0.0
    """That calls have waited for a place."""

    def take_attempts(self) -> int:
        """Of the call that is over: the next one's count from 0."""
        attempts, self.attempts = self.attempts, 0
        return attempts

    def replace_last(self) -> None:
        """The next call is made in place of the last one."""
        self.replaced = self.last

    def take_links(self) -> Sequence[Link]:
        """For the span of the call that is made now."""
        replaced, self.replaced = self.replaced, None
        if replaced is None or not replaced.get_span_context().is_valid:
            return ()
        return (Link(replaced.get_span_context()),)

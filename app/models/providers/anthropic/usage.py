"""What one part of an answer of Anthropic's used, as its events tell it or as estimated."""

from app.messages import Usage
from app.models.estimates import BYTES_A_TOKEN
from app.models.providers.anthropic.wire import TokenUsage
from app.models.providers.lenient_counts import count_of

_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class UsageCount:
    """Counts are cumulative; one of 0 after a real one is none."""

    __slots__ = ("_counts", "_output_is_final", "thinking_tokens")

    def __init__(self) -> None:
        self.thinking_tokens = 0
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._output_is_final = False

    def take(self, usage: TokenUsage | None, *, final: bool) -> None:
        """`final`: its output is not that of the first token alone, as in `message_start`."""
        if usage is None:
            return
        for name in _COUNTS:
            if count := count_of(getattr(usage, name)):
                self._counts[name] = count
                self._output_is_final |= final and name == "output_tokens"
        self.thinking_tokens = usage.thinking_tokens or self.thinking_tokens

    def usage(self, estimated_input: int, written_bytes: int) -> tuple[Usage, bool]:
        """The usage, and whether the server has counted all of it. What it left out, or counted as nothing, is
        estimated: the output by the bytes that were written."""
        fresh, output, read, written = self._counts.values()
        given = fresh + read + written  # on the wire without those of the cache
        estimated_output = -(-written_bytes // BYTES_A_TOKEN)
        if not self._output_is_final:
            output = max(output, estimated_output)
        counted = bool(given) and (self._output_is_final or not estimated_output)
        return Usage(given or estimated_input, output, read, written), counted

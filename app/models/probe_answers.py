"""What a model's probes have said: whether it has come back, and whether a probe that fails is believed."""

TRUST_SECONDS = 300.0
"""How long a probe that has answered before is believed when it fails."""


class ProbeAnswers:
    __slots__ = ("_answered_before", "_silent_since")

    def __init__(self) -> None:
        self._answered_before = False
        self._silent_since: float | None = None

    def add(self, *, answered: bool, now: float) -> bool:
        """A probe has answered, or failed. Returns whether it answered after it had failed."""
        came_back = answered and self._silent_since is not None
        if answered:
            self._answered_before, self._silent_since = True, None
        elif self._silent_since is None:
            self._silent_since = now
        return came_back

    def is_down(self, now: float) -> bool:
        """Whether the model is away: its probe fails, but has answered before and not failed for very long. One that is
        forbidden, or broken in another way than the calls, says nothing."""
        silent_since = self._silent_since
        return self._answered_before and silent_since is not None and now - silent_since <= TRUST_SECONDS

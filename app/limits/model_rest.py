"""A model that may rest, as the limits' scripts tell the processes of each other's."""

from typing import Protocol

from app.limits.checks import TAG


class ModelRest(Protocol):
    """One model with one credential, in this process."""

    @property
    def ref(self) -> str:
        """As in MODELS."""

    @property
    def key(self) -> str:
        """The same in all processes."""

    def news(self, *, unmade: bool = False) -> str:
        """What this process has learned since it was asked last, as rest.lua takes it; or nothing. `unmade`: a request
        that the store has counted was not made."""

    def told(self, seconds: float, reason: str) -> None:
        """All processes together have learned that it rests for so long yet."""


def rest_key(model: ModelRest) -> str:
    return f"{TAG}rest:{model.key}"

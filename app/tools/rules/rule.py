"""The shape of a rule on one argument."""

from typing import Any, Protocol


class ArgumentRule(Protocol):
    """Looks at an argument that fits its schema, before the tool is called."""

    def check(self, value: Any) -> str | None:
        """What is wrong with it, for the model to read; None: nothing. Does not raise."""

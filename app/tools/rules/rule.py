"""The shape of a rule on one argument."""

from typing import Any, Protocol, runtime_checkable


class ArgumentRule(Protocol):
    """Looks at an argument that fits its schema, before the tool is called."""

    def check(self, value: Any) -> str | None:
        """What is wrong with it, for the model to read; None: nothing. Does not raise."""


@runtime_checkable
class AskingRule(Protocol):
    """An ArgumentRule that has a person decide on some values."""

    def asks(self, value: Any) -> str | None:
        """Why, for people; None: the call may be made. Does not raise."""

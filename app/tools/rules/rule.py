"""The shape of a rule on one argument, and how a call is held to its rules."""

from collections.abc import Mapping
from typing import Any, Protocol


class ArgumentRule(Protocol):
    """Looks at an argument that fits its schema, before the tool is called."""

    def check(self, value: Any) -> str | None:
        """What is wrong with it, for the model to read; None: nothing. Does not raise."""


class ArgumentRefused(Exception):
    """A rule does not let the argument through. The model reads the message."""


def hold_to(rules: Mapping[str, ArgumentRule], arguments: Mapping[str, Any]) -> None:
    """Raises ArgumentRefused, which names the argument. Each item of a list is checked; None and what was left out is
    not."""
    for name, rule in rules.items():
        value = arguments.get(name)
        items = value if isinstance(value, list | tuple | set | frozenset) else (value,)
        for item in items:
            if item is not None and (problem := rule.check(item)):
                raise ArgumentRefused(f"{name}: {problem}")

"""The shape of a rule on one argument, and how a call is held to its rules."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable


class ArgumentRule(Protocol):
    """Looks at an argument that fits its schema, before the tool is called."""

    def check(self, value: Any) -> str | None:
        """What is wrong with it, for the model to read; None: nothing. Does not raise."""


@runtime_checkable
class AskingRule(Protocol):
    """An ArgumentRule that has a person decide on some values, beside those that it refuses."""

    def asks(self, value: Any) -> str | None:
        """Why, for people; None: the call may be made. Does not raise."""


def problem_with(value: object, read: Callable[[object], object]) -> str | None:
    """What `read` raises ValueError with, for a rule's `check`; None if it takes the value."""
    try:
        read(value)
    except ValueError as error:
        return str(error)
    return None


class ArgumentRefused(Exception):
    """A rule does not let the argument through. The model reads the message."""


def hold_to(rules: Mapping[str, ArgumentRule], arguments: Mapping[str, Any]) -> None:
    """Raises ArgumentRefused, which names the argument. Each item of a list is checked; None and what was left out is
    not."""
    for name, rule in rules.items():
        for item in _items(arguments.get(name)):
            if problem := rule.check(item):
                raise ArgumentRefused(f"{name}: {problem}")


def why_asked(rules: Mapping[str, ArgumentRule], arguments: Mapping[str, Any]) -> str | None:
    """Why a rule wants a person to decide on the call; None: none does."""
    for name, rule in rules.items():
        if isinstance(rule, AskingRule):
            for item in _items(arguments.get(name)):
                if why := rule.asks(item):
                    return f"{name}: {why}"
    return None


def _items(value: Any) -> Iterable[Any]:
    items = value if isinstance(value, list | tuple | set | frozenset) else (value,)
    return [item for item in items if item is not None]

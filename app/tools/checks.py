"""What a function has to be, and may be said to be, to become a tool."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
"""Names of tools that every provider takes."""


def checked_name(function: Callable[..., Any], name: str | None) -> str:
    """Raises TypeError."""
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"a tool is an async function (async def), not {function!r}")
    name = function.__name__ if name is None else name
    if not NAME.fullmatch(name):
        raise TypeError(f"tool {name!r}: a name is 1 to 64 of the characters a-z A-Z 0-9 _ -")
    return name


def check_signature(name: str, function: Callable[..., Any]) -> None:
    """Raises TypeError."""
    if not (function.__doc__ or "").strip():
        raise TypeError(f"tool {name!r} has no docstring; models read it to know what the tool does")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"tool {name!r}: {parameter} can't be given by name; tools have named parameters only")
        if parameter.annotation is parameter.empty:
            raise TypeError(f"tool {name!r}: parameter {parameter.name!r} has no type")


def check_choices(name: str, choices: Mapping[str, tuple[Any, Collection[Any]]]) -> None:
    """Raises TypeError for an option, given with its choices, that is none of them."""
    for option, (value, allowed) in choices.items():
        if value not in allowed:
            raise TypeError(f"tool {name!r}: {option} is one of {', '.join(map(repr, allowed))}, not {value!r}")


def check_rules(name: str, rules: Mapping[str, Any], parameters: Collection[str]) -> None:
    """Raises TypeError for a rule of a parameter that there is not, and for what is no rule."""
    if unknown := sorted(rules.keys() - set(parameters)):
        had = ", ".join(parameters) or "none"
        raise TypeError(f"tool {name!r}: rules for {', '.join(unknown)}, but its parameters are {had}")
    for parameter, rule in rules.items():
        if not callable(getattr(rule, "check", None)):
            raise TypeError(f"tool {name!r}: the rule for {parameter} has no method check(value)")


def check_importable(name: str, function: Callable[..., Any]) -> None:
    """Raises TypeError for a function that another process could not find."""
    if "<locals>" in function.__qualname__ or function.__module__ == "__main__":
        raise TypeError(f"tool {name!r}: isolation='process' takes a function of a module, not one within another")

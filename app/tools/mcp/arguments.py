"""Checks arguments against an MCP tool's schema, in bounded time."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

import re2  # type: ignore[import-untyped]
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from jsonschema.validators import create
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core import ValidationError as Invalid

MAX_VALUES = 2_000
"""Of the arguments, in all."""
MAX_STEPS = 20_000
"""Keywords of the schema that are looked at, for all values together: some 0.2 s, in which nothing else is done."""

_MAX_PROBLEMS = 20
_MAX_MESSAGE_CHARS = 300
_SLOW = frozenset(
    {"$ref", "$dynamicRef", "patternProperties", "unevaluatedItems", "unevaluatedProperties", "uniqueItems"}
)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not re2.search(pattern, value):
        yield ValidationError(f"does not match {pattern!r}")


class _TooMuch(Exception):
    """The check of some arguments takes more than MAX_STEPS."""


class _Steps:
    """Counts the keywords that one check looks at: alternatives take the product of them and the values."""

    def __init__(self) -> None:
        self.left = MAX_STEPS
        checks = {key: self._counted(check) for key, check in _CHECKS.items()}
        self.validator = create(Draft202012Validator.META_SCHEMA, checks, type_checker=_TYPES)

    def _counted(self, check: Any) -> Any:
        def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise _TooMuch
            return check(validator, value, instance, schema)

        return counted


_CHECKS = {key: check for key, check in Draft202012Validator.VALIDATORS.items() if key not in _SLOW}
_CHECKS["pattern"] = _pattern
_TYPES = Draft202012Validator.TYPE_CHECKER

Check = Callable[[Mapping[str, Any]], None]
"""Raises pydantic's ValidationError, as tools that are functions do."""


def check_of(name: str, schema: Mapping[str, Any]) -> Check:
    """Raises ValueError, whose words go with `its schema …`, for what is no schema."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"is no JSON schema: {error.message[:_MAX_MESSAGE_CHARS]}") from None
    steps = _Steps()
    validator = steps.validator(schema)

    def check(arguments: Mapping[str, Any]) -> None:
        if _values(arguments) > MAX_VALUES:
            raise _invalid(name, [_problem((), f"more than {MAX_VALUES} values", None)])
        steps.left = MAX_STEPS
        problems = _problems(validator, arguments)
        if problems:
            raise _invalid(name, problems)

    return check


def _problems(validator: Any, arguments: Mapping[str, Any]) -> list[InitErrorDetails]:
    try:
        errors = list(islice(validator.iter_errors(arguments), _MAX_PROBLEMS))
    except _TooMuch:
        return [_problem((), "too many values for what the schema asks of each; call it with fewer", None)]
    except (OverflowError, UnicodeError):  # a number that no float holds, a text that has no UTF-8 form
        return [_problem((), "a value that cannot be looked at", None)]
    return [_problem(tuple(error.absolute_path), error.message, error.instance) for error in errors]


def _values(value: Any) -> int:
    """Stops counting where there are too many."""
    count, waiting = 0, [value]
    while waiting and count <= MAX_VALUES:
        count += 1
        match waiting.pop():
            case dict() as inner:
                waiting.extend(islice(inner.values(), MAX_VALUES + 1))
            case list() as inner:
                waiting.extend(inner[: MAX_VALUES + 1])
    return count


def _problem(loc: tuple[str | int, ...], message: str, value: Any) -> InitErrorDetails:
    words = message[:_MAX_MESSAGE_CHARS].replace("{", "(").replace("}", ")")  # of a template
    return InitErrorDetails(type=PydanticCustomError("schema", words), loc=loc, input=value)


def _invalid(name: str, problems: list[InitErrorDetails]) -> Invalid:
    return Invalid.from_exception_data(name, problems)

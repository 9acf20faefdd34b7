"""JSON schemas of MCP servers, as models are told of them and arguments are checked against them.

A schema is written by others: references are put in place, so that no chain of them makes much out of little, what is
recursive is left to the server, and so is every keyword that cannot be checked in bounded time.
"""

import json
from collections.abc import Mapping
from typing import Any

import re2  # type: ignore[import-untyped]

MAX_BYTES = 32_768
MAX_DEPTH = 16
MAX_NODES = 500

_SCHEMAS = frozenset({"items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"})
"""Keywords whose value is a schema."""
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_MAPS = frozenset({"properties", "dependentSchemas"})
_VALUES = frozenset(
    {
        "type",
        "description",
        "enum",
        "const",
        "default",
        "examples",
        "format",
        "required",
        "dependentRequired",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minContains",
        "maxContains",
        "minProperties",
        "maxProperties",
    }
)


def usable_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without references. Raises ValueError, whose words go with `its schema …`."""
    if len(json.dumps(schema)) > MAX_BYTES:
        raise ValueError(f"has more than {MAX_BYTES} bytes")
    if schema.get("type", "object") != "object":
        raise ValueError("is not of type object")
    plain = _Plain(schema).of(schema, 0, frozenset())
    return {"properties": {}, **plain, "type": "object"}


class _Plain:
    """Copies a schema, with a bound on the size of the copy."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def of(self, schema: Any, depth: int, within: frozenset[str]) -> Any:
        """`within` are the references that lead here: one of them again is recursion, and anything may stand there."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise ValueError("has a part that is no schema")  # noqa: TRY004 - of others' data
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise ValueError(f"is deeper than {MAX_DEPTH} levels, or has more than {MAX_NODES} parts")
        ref = schema.get("$ref")
        if ref is None:
            return self._copied(schema, depth, within)
        if ref in within:
            return {}
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        target = self._target(ref)
        merged = {**target, **beside} if isinstance(target, Mapping) else target
        return self.of(merged, depth + 1, within | {ref})

    def _copied(self, schema: Mapping[str, Any], depth: int, within: frozenset[str]) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _VALUES or (key == "pattern" and _is_linear(value)):
                copy[key] = value
            elif key in _SCHEMAS:
                copy[key] = self.of(value, depth + 1, within)
            elif key in _LISTS and isinstance(value, list):
                copy[key] = [self.of(each, depth + 1, within) for each in value]
            elif key in _MAPS and isinstance(value, Mapping):
                copy[key] = {name: self.of(each, depth + 1, within) for name, each in value.items()}
        if "patternProperties" in schema:
            copy.pop("additionalProperties", None)
        return copy

    def _target(self, ref: Any) -> Any:
        if not isinstance(ref, str) or not (ref == "#" or ref.startswith("#/")):
            raise ValueError("refers to something outside of it")
        found: Any = self._root
        for part in ref.split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise ValueError("refers to a part that it does not have")
            found = found[name]
        return found


def _is_linear(pattern: Any) -> bool:
    """Whether RE2 takes it, which never takes longer than the text is long. The others are left to the server."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except (re2.error, TypeError):
        return False
    return True

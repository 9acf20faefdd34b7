"""A function's parameters as the JSON schema that models are given."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from app.tools.context import MARK

NAMED = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords whose value maps names to schemas: a parameter may itself be called `title`."""
DATA = frozenset({"default", "examples", "enum", "const"})
"""Keywords whose value is data, not a schema."""


def parameters_schema(adapter: TypeAdapter[Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The schema without titles, and definitions in place of references to them: Ollama drops `$ref`.

    Where a type is recursive, all references stay. Also returns the names of the parameters that take the context.
    Raises ValueError for a context within another type.
    """
    schema = adapter.json_schema()
    contexts = tuple(name for name, inner in schema["properties"].items() if MARK in inner)
    for name in contexts:
        del schema["properties"][name]
    if required := [name for name in schema.pop("required", ()) if name not in contexts]:
        schema["required"] = required
    if MARK in repr(schema):
        raise ValueError("ToolContext can only be the whole type of a parameter")
    return _inlined(schema), contexts


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", {})
    if _recursive(definitions):
        kept = _plain(schema, {})
        return {**kept, "$defs": {name: _plain(definition, {}) for name, definition in definitions.items()}}
    return _plain(schema, definitions)


def _plain(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    target = definitions.get(_target(schema))
    if target is not None:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _plain({**target, **beside}, definitions)

    def part(key: str, value: Any) -> Any:
        if key in DATA:
            return value
        if key in NAMED:
            return {name: _plain(inner, definitions) for name, inner in value.items()}
        if isinstance(value, dict):
            return _plain(value, definitions)
        if isinstance(value, list):
            return [_plain(inner, definitions) if isinstance(inner, dict) else inner for inner in value]
        return value

    # `discriminator` is OpenAPI's, not JSON schema's, and points into the definitions.
    return {key: part(key, value) for key, value in schema.items() if key not in ("title", "discriminator")}


def _target(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).removeprefix("#/$defs/")


def _recursive(definitions: Mapping[str, Any]) -> bool:
    uses = {name: _references(definition) for name, definition in definitions.items()}

    def reaches(name: str, seen: frozenset[str]) -> bool:
        return name in seen or any(reaches(used, seen | {name}) for used in uses.get(name, ()))

    return any(reaches(name, frozenset()) for name in uses)


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        found = {_target(node)} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(_references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(value) for value in node))
    return set()

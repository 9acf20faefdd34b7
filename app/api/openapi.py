"""The OpenAPI document: what FastAPI makes of the routes, with the schemas of what is really read and sent."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.inspect import DataclassType, StructType, UnionType, multi_type_info
from pydantic import BaseModel

REFERENCE = "#/components/schemas/"
Document = dict[str, Any]
Change = Callable[[Document], None]


class Schemas:
    """Collects the types that the document refers to: pydantic models that are read, Structs that are sent."""

    def __init__(self) -> None:
        self._models: dict[type[BaseModel], str] = {}
        self._sent: dict[type, str] = {}

    def refer(self, kind: type, name: str = "") -> str:
        """The reference to the type's schema, which the document will have under `name` or the type's own."""
        known: dict[Any, str] = self._models if issubclass(kind, BaseModel) else self._sent
        return REFERENCE + known.setdefault(kind, name or kind.__name__)

    def add_to(self, document: Document) -> None:
        """Put the schemas of all types into the document, and no default into any.

        Generators for TypeScript take a field with a default for always there.
        """
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for model, name in self._models.items():
            schema = model.model_json_schema(ref_template=REFERENCE + "{model}")
            schemas |= schema.pop("$defs", {})
            schemas[name] = schema
        schemas |= self._of_sent()
        for schema in schemas.values():
            for field in schema.get("properties", {}).values():
                field.pop("default", None)

    def _of_sent(self) -> dict[str, Any]:
        kinds = tuple(self._sent)
        _, schemas = msgspec.json.schema_components(kinds, ref_template=REFERENCE + "{name}")
        for kind in {each for info in multi_type_info(kinds) for each in _classes(info)}:
            if _always_there(kind):
                schemas[kind.__name__]["required"] = list(schemas[kind.__name__]["properties"])
        for kind, name in self._sent.items():
            schemas[name] = schemas.pop(kind.__name__) | {"title": name}
        return schemas


def _classes(info: Any) -> Iterator[type]:
    """The classes that a type consists of, itself included."""
    match info:
        case StructType() | DataclassType():
            yield info.cls
            parts = [field.type for field in info.fields]
        case UnionType():
            parts = list(info.types)
        case _:
            parts = [getattr(info, name) for name in ("item_type", "value_type") if hasattr(info, name)]
    for part in parts:
        yield from _classes(part)


def _always_there(kind: type) -> bool:
    """True if all fields are sent, also those with a default."""
    config = getattr(kind, "__struct_config__", None)
    return config is None or not config.omit_defaults


def json_response(reference: str) -> dict[str, Any]:
    """A documented response in JSON."""
    return {"description": "Successful Response", "content": {"application/json": {"schema": {"$ref": reference}}}}


def also_json(reference: str, response: Mapping[str, Any]) -> dict[str, Any]:
    """The documented response, with JSON as another media type of it."""
    return {**response, "content": {**json_response(reference)["content"], **response["content"]}}

"""The OpenAPI document: what FastAPI makes of the routes, with what it cannot know."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI


def amend(app: FastAPI, change: Callable[[dict[str, Any]], None]) -> None:
    """Have `change` work on the document of `app`, once, when it is made."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        made = app.openapi_schema is not None
        schema = generate()
        if not made:
            change(schema)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def leave_out_defaults(app: FastAPI) -> None:
    """Have no default in the document's schemas: generators for TypeScript take a field with one for always there."""

    def change(schema: dict[str, Any]) -> None:
        for model in schema["components"]["schemas"].values():
            for field in model.get("properties", {}).values():
                field.pop("default", None)

    amend(app, change)

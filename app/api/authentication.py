"""Authentication is decided by path, before routing: a path that is not on the list of open ones wants credentials."""

from typing import Any

from fastapi import FastAPI
from starlette.types import Scope

from app.api import docs
from app.api.document import amend
from app.api.middleware import PROBES
from app.api.problems import MEDIA_TYPE

OPEN = PROBES | docs.PATHS
"""Paths that answer without credentials. Compared as a whole: nothing below them is open."""

_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`agentapi_…`) or a JSON Web Token, whichever the service takes.",
}


def is_open(scope: Scope) -> bool:
    """Whether the request wants no credentials. Its path is compared as the router does, without `root_path`."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return (path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path) in OPEN


def document_authentication(app: FastAPI) -> None:
    """Have the OpenAPI document say what each closed route wants and how it refuses."""

    def change(schema: dict[str, Any]) -> None:
        schema.setdefault("components", {})["securitySchemes"] = {"bearer": _SCHEME}
        for path in schema["paths"].keys() - OPEN:
            for operation in schema["paths"][path].values():
                operation["security"] = [{"bearer": []}]
                for status, description in (("401", "Unauthorized"), ("403", "Forbidden")):
                    operation["responses"].setdefault(status, _problem(description))

    amend(app, change)


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }

"""Authentication is decided by path, before routing: a path that is not on the list of open ones wants credentials."""

from starlette.types import Scope

from app.api import docs
from app.api.failures import documented
from app.api.middleware import PROBES
from app.api.openapi import Document
from app.api.prefix import route_path

OPEN = PROBES | docs.PATHS
"""Paths that answer without credentials. Compared as a whole: nothing below them is open."""

_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`agentapi_…`) or a JSON Web Token, whichever the service takes.",
}


def is_open(scope: Scope) -> bool:
    """True if the request needs no credentials. Its path is compared as the router does, without `root_path`."""
    return route_path(scope) in OPEN


def document_authentication(document: Document) -> None:
    """Have the OpenAPI document say what each closed route wants and how it refuses."""
    document["components"]["securitySchemes"] = {"bearer": _SCHEME}
    for path in document["paths"].keys() - OPEN:
        for operation in document["paths"][path].values():
            operation["security"] = [{"bearer": []}]
            for status, response in documented(401, 403).items():
                operation["responses"].setdefault(str(status), response)

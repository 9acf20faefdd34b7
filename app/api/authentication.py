"""Authentication: decided by path, before routing. A path that is not on the list of open ones wants credentials."""

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from starlette.types import Scope

from app.api.document import amend
from app.api.problems import MEDIA_TYPE
from app.api.proxies import Proxies
from app.errors import Unauthorized
from app.limits.identity import Identity
from app.limits.names import anonymous
from app.limits.principal import ANY_TOOL, Principal

PROBES = frozenset({"/live", "/ready", "/health"})
DOCUMENTATION = frozenset({"/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"})
OPEN = PROBES | DOCUMENTATION
"""Paths that answer without credentials. Compared as a whole: nothing below them is open."""

ANYONE = frozenset({"chat", "runs", ANY_TOOL})
"""What everyone may do where nobody is authenticated: everything but `admin`."""

PRINCIPAL = "agent_api.principal"
MAX_CREDENTIAL_BYTES = 8192
_NOBODY = anonymous()
_SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`agentapi_…`) or a JSON Web Token, whichever the service takes.",
}


class Authentication:
    """Finds out on whose behalf a request comes, before it is routed and before a byte of its body is read."""

    def __init__(self, identity: Identity, proxies: Proxies) -> None:
        self._identity = identity
        self._proxies = proxies

    async def __call__(self, scope: Scope) -> None:
        """Note the caller in the scope, for `principal_of`. Raises Unauthorized, or IdentityUnavailable."""
        if _route_path(scope) in OPEN:
            return
        if self._identity.everyone:
            scope[PRINCIPAL] = Principal(_NOBODY, scopes=ANYONE, address=self._proxies.address_of(scope))
        else:
            scope[PRINCIPAL] = await self._identity.of(_bearer(scope["headers"]))


def _route_path(scope: Scope) -> str:
    """The path as the router compares it: without the prefix that the service is installed under."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The one credential of a request. Raises Unauthorized."""
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise Unauthorized("missing")
    scheme, _, credential = given[0].partition(b" ")
    sane = len(given) == 1 and len(credential) <= MAX_CREDENTIAL_BYTES and credential.isascii()
    if not sane or scheme.lower() != b"bearer":
        raise Unauthorized("invalid")
    return credential.strip().decode("ascii")


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

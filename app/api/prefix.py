"""The path that the service is installed under, such as `/agents`: taken off requests, put before what answers show."""

import re
from collections.abc import Callable, Sequence

from starlette.routing import BaseRoute
from starlette.types import Scope

from app.errors import ConfigurationError

HEADER = b"x-forwarded-prefix"
MAX_CHARS = 256
_KEY = "agent_api.prefix"
_IS_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~!$&'()*+,;=:@-]+)+").fullmatch


class Prefixes:
    """Finds a request's prefix: what a trusted proxy says in X-Forwarded-Prefix, else ROOT_PATH."""

    def __init__(self, root_path: str, trusted: Callable[[Scope], bool], routes: Sequence[BaseRoute]) -> None:
        """Raises ConfigurationError for a ROOT_PATH that is no path."""
        self._root_path = root_path.rstrip("/")
        if self._root_path and not _valid(self._root_path):
            raise ConfigurationError(
                "ROOT_PATH: is not a path such as /agents: a slash, then letters, digits and -._~ between slashes"
            )
        self._trusted = trusted
        self._first_parts = {_first_part(getattr(route, "path", "")) for route in routes}

    def inner(self, scope: Scope, forwarded: bytes | None) -> Scope:
        """The scope with the path as the routes know it, whether a proxy has taken the prefix off or not."""
        prefix = self._root_path
        if forwarded is not None and self._trusted(scope):
            prefix = _prefix_of(forwarded, prefix)
        if not prefix:
            return scope
        path: str = scope["path"]
        rest = path.removeprefix(prefix)
        # With ROOT_PATH=/api, `/api/tools` is a route of its own as long as `/tools` is none.
        if len(rest) < len(path) and rest.startswith("/") and _first_part(rest) in self._first_parts:
            path = rest
        return {**scope, "path": path, _KEY: prefix}


def prefix_of(scope: Scope) -> str:
    """The prefix of a request, empty where the service is installed at the root."""
    return str(scope.get(_KEY, ""))


def route_path(scope: Scope) -> str:
    """The path as the router compares it: without `root_path`."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path


def path_of(scope: Scope) -> str:
    """The path as the client asked for it."""
    return prefix_of(scope) + str(scope["path"])


def _prefix_of(forwarded: bytes, otherwise: str) -> str:
    """The header's value. Proxies that stand in a row may each add theirs, the outermost first."""
    parts = [part.strip().rstrip("/") for part in forwarded.decode("latin-1").split(",")]
    prefix = "".join(part for part in parts if part)
    return prefix if not prefix or _valid(prefix) else otherwise


def _valid(prefix: str) -> bool:
    return len(prefix) <= MAX_CHARS and _IS_PREFIX(prefix) is not None


def _first_part(path: str) -> str:
    return path[1:].partition("/")[0]

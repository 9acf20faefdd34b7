"""Bodies that are used up piece by piece: they are no memory that is held, however long they are."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.types import Receive

_KEY = "agent_api.body_consumed"


def consume_body(request: Request) -> Receive:
    """What the pieces of the request's body come from, for who keeps none of them."""
    request.scope.setdefault("state", {})[_KEY] = True  # the one part of a scope that its copies share
    return request.receive


def is_consumed(state: Mapping[str, Any]) -> bool:
    """Whether what the app was given of a request's body is not held any more; `state` is its scope's."""
    return _KEY in state

"""ToolContext: facts about a call, for the tool that answers it."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from math import inf
from typing import Any, NamedTuple

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from app.access.principal import Principal
from app.telemetry.propagation import NOBODY, Propagation

MARK = "x-tool-context"
"""Stands for the context in a function's schema, until it is taken out: models and callers cannot give one."""


class HandOver(NamedTuple):
    """Why a person has to take over, and what they have to know."""

    reason: str
    summary: str = ""


@dataclass(frozen=True, slots=True)
class ToolContext:
    """A tool's parameter of this type is filled by the service and is no part of the tool's JSON schema."""

    caller: Principal
    run_id: str
    """Of a call by hand: an id of its own."""
    call_id: str = ""
    deadline: float = inf
    """Time at which the tool is stopped, on the event loop's clock (`loop.time()`)."""
    sources: list[str] = field(default_factory=list)
    """Sources that the tool used, such as addresses of documents; the tool appends to this list."""
    handed_over: list[HandOver] = field(default_factory=list)

    def hand_over(self, reason: str, summary: str = "") -> None:
        """Have the run count as one that a person has to take over."""
        self.handed_over.append(HandOver(reason, summary))

    propagation: Propagation = NOBODY
    """Who is told of requests."""
    iteration: int = 0
    """Of the run: the model call that asked for the tool; 0: a call by hand."""
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def idempotency_key(self) -> str:
        """The same each time that this very call is made, after the death of a process as well: for servers that carry
        out a request once a key."""
        call = (self.run_id, self.iteration, self.call_id, self.arguments)
        return sha256(json.dumps(call, sort_keys=True).encode()).hexdigest()

    def trace_headers(self, url: str) -> Mapping[str, str]:
        """`traceparent` and `X-Request-Id` for a request that the tool sends to this URL: its server's spans are then
        in the run's trace. None for hosts that are not in TRACE_HOSTS."""
        return self.propagation.headers(url)

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; call it within the event loop."""
        return self.deadline - asyncio.get_running_loop().time()

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls)

    @classmethod
    def __get_pydantic_json_schema__(cls, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
        return {MARK: True}

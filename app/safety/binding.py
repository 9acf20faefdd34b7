"""What an approval is for: one call of one run, exactly as a person has seen it."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from app.tools.rules.rule import ArgumentRule
from app.tools.tool import Tool

_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: Any) -> bytes:
    """One text for each JSON value: keys in order, no white space, the shortest digits.

    Like RFC 8785, but 1 and 1.0 differ (tools may tell them apart), and keys are in the order of their code points.
    """
    return _encode(value)


def arguments_hash(arguments: Mapping[str, Any]) -> str:
    return sha256(canonical(arguments)).hexdigest()


@lru_cache(1024)
def definition_of(tool: Tool) -> str:
    """SHA-256 of what a person has to know of a tool to approve a call: the same in all processes of a version. What
    is pinned of a tool of an MCP server is in its description and its schema."""
    rules = {name: _rule(rule) for name, rule in tool.rules.items()}
    return sha256(canonical([tool.name, tool.description, tool.parameters, tool.risk, tool.effect, rules])).hexdigest()


def binding_of(
    run_id: str, call_id: str, definition: str, arguments: Mapping[str, Any], policy: str, expires_at: float
) -> str:
    """SHA-256. `expires_at` is in seconds since the epoch, to the millisecond."""
    parts = [run_id, call_id, definition, arguments, policy, round(expires_at * 1000)]
    return sha256(canonical(parts)).hexdigest()


def _rule(rule: ArgumentRule) -> str:
    """Values tell what they are; the words of other objects have their address in this process."""
    kind = f"{type(rule).__module__}.{type(rule).__qualname__}"
    return repr(rule) if is_dataclass(rule) or isinstance(rule, msgspec.Struct) else kind

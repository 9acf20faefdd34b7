"""What an approval is for: one call of one run, exactly as a person has seen it."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any

import msgspec

from app.audit.canonical import fingerprint
from app.tools.rules.rule import ArgumentRule
from app.tools.tool import Tool


@lru_cache(1024)
def definition_of(tool: Tool) -> str:
    """SHA-256 of what a person has to know of a tool to approve a call: the same in all processes of a version. What
    is pinned of a tool of an MCP server is in its description and its schema."""
    rules = {name: _rule(rule) for name, rule in tool.rules.items()}
    return fingerprint([tool.name, tool.description, tool.parameters, tool.risk, tool.effect, rules])


def binding_of(
    run_id: str, call_id: str, definition: str, arguments: Mapping[str, Any], policy: str, expires_at: float
) -> str:
    """SHA-256. `expires_at` is in seconds since the epoch, to the millisecond."""
    return fingerprint([run_id, call_id, definition, arguments, policy, round(expires_at * 1000)])


def _rule(rule: ArgumentRule) -> str:
    """Values tell what they are; the words of other objects have their address in this process."""
    kind = f"{type(rule).__module__}.{type(rule).__qualname__}"
    return repr(rule) if is_dataclass(rule) or isinstance(rule, msgspec.Struct) else kind

"""TEMPORARY double: replaced by the core's."""

from collections.abc import Iterable
from typing import Any

from app.tools.tool import Tool, WhenTainted

_ORDER = ("low", "medium", "high", "never")


def may_ask(tools: Iterable[Tool], approving: Any, when_tainted: WhenTainted) -> bool:
    known = list(tools)
    tainting = any(not (tool.pure or tool.trusted) for tool in known)
    return any(
        tool.name in approving.tools
        or _ORDER.index(tool.risk) >= _ORDER.index(approving.risk)
        or (tainting and tool.effect != "read" and (tool.when_tainted or when_tainted) == "approve")
        for tool in known
    )

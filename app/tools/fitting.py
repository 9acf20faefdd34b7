"""Looks at a call that is not made yet, before anybody is asked about it."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.access.principal import Principal
from app.tools.context import ToolContext
from app.tools.result import MAX_PROBLEMS, ToolResult, invalid_arguments, unknown_arguments
from app.tools.rules.rule import AskingRule
from app.tools.tool import Tool

_NOBODY = ToolContext(Principal("nobody"), "")


def misfit(tool: Tool, arguments: Mapping[str, Any]) -> ToolResult | None:
    """What the tool would say of arguments that it does not take; None: it takes them. Nothing is called."""
    known = tool.parameters.get("properties", {})
    if len(arguments) > len(known) + MAX_PROBLEMS or not arguments.keys().isdisjoint(tool.contexts):
        return unknown_arguments(tool, [name for name in arguments if name not in known])
    try:
        tool.bind(arguments, _NOBODY).close()
    except ValidationError as error:
        return invalid_arguments(tool, error)
    for name, rule in tool.rules.items():
        if name in arguments and (problem := rule.check(arguments[name])) is not None:
            return ToolResult("error", problem, fault="refused_arguments")
    return None


def asks(tool: Tool, arguments: Mapping[str, Any]) -> str | None:
    """Why a rule on the arguments wants a person to decide; None: none does."""
    for name, rule in tool.rules.items():
        if isinstance(rule, AskingRule) and name in arguments and (why := rule.asks(arguments[name])) is not None:
            return why
    return None

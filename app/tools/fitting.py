"""Looks at a call before anybody is asked about it: nothing is called."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.access.principal import Principal
from app.tools.context import ToolContext
from app.tools.result import ToolResult, invalid_arguments, refused_argument, unknown_arguments
from app.tools.rules.rule import ArgumentRefused
from app.tools.running import unknown_names
from app.tools.tool import Tool

_NOBODY = ToolContext(Principal("nobody"), "")


def misfit(tool: Tool, arguments: Mapping[str, Any]) -> ToolResult | None:
    """What the tool would say of arguments that it does not take; None: it takes them."""
    if unknown := unknown_names(tool, arguments):
        return unknown_arguments(tool, unknown)
    try:
        tool.check(arguments, _NOBODY)
    except ValidationError as error:
        return invalid_arguments(tool, error)
    except ArgumentRefused as error:
        return refused_argument(tool, error)
    return None

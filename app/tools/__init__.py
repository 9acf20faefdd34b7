"""Tools: functions that models can call, from here and from other packages, run within bounds.

A tool package needs `tool`, `ToolError` to tell the model what is wrong with its call, and `ToolContext` to know who
calls.
"""

from app.tools.context import ToolContext
from app.tools.tool import Effect, Risk, Tool, ToolError, tool

__all__ = ["Effect", "Risk", "Tool", "ToolContext", "ToolError", "tool"]

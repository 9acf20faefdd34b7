"""The tools of a run: as they are called, as a model is told of them, and as the run's limits count them."""

from dataclasses import dataclass

from app.models.protocol import ToolSpec
from app.runs.estimates import most_tool_tokens
from app.safety.fence import RULE
from app.tools.registry import Registry


@dataclass(frozen=True, slots=True, eq=False)
class Toolset:
    registry: Registry
    specs: tuple[ToolSpec, ...]
    most_tokens: int
    """That telling a model of them may take."""
    fenced: bool
    """Results of theirs stand in fences."""

    def told(self, system: str) -> str:
        """The system prompt, with what the model has to know of fences."""
        return f"{system}\n\n{RULE}".lstrip() if self.fenced else system


def toolset(registry: Registry) -> Toolset:
    tools = registry.values()
    specs = tuple(ToolSpec(tool.name, tool.description, tool.parameters) for tool in tools)
    return Toolset(registry, specs, most_tool_tokens(tools), any(tool.untrusted for tool in tools))

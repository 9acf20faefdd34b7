"""Tools that are called by hand: whose they are, and whether a person would have to approve the call."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.access.principal import Principal
from app.agents.definition import Agent
from app.safety.policy import NeedsApproval, decide
from app.tools.rules.rule import why_asked
from app.tools.tool import Tool


def askable(agents: Mapping[str, Agent], principal: Principal) -> Sequence[Agent]:
    """The agents that the principal may ask."""
    return [agent for name, agent in agents.items() if agent.public or principal.may_ask(name)]


def tools_of(agents: Iterable[Agent]) -> Iterable[str]:
    """Once each."""
    return dict.fromkeys(tool for agent in agents for tool in agent.tools)


def why_not_by_hand(tool: Tool, arguments: Mapping[str, Any], agents: Iterable[Agent]) -> str | None:
    """Why each of these agents, which have the tool, would have a person approve the call; None: one would not."""
    asks = why_asked(tool.rules, arguments) if tool.rules else None
    why = None
    for agent in agents:
        decision = decide(tool, agent.approving, agent.when_tainted, tainted=False, asks=asks)
        if not isinstance(decision, NeedsApproval):
            return None
        why = decision.detail
    return why

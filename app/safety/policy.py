"""Which calls of tools are made, which a person decides on, and which there are not. Pure: nothing is asked or done."""

from collections.abc import Collection, Iterable
from hashlib import sha256
from itertools import product
from typing import Any, Literal, Protocol, get_args

import msgspec
from msgspec import Struct

from app.tools.rules.rule import AskingRule
from app.tools.tool import Effect, Risk, Tool, WhenTainted

RiskFrom = Literal["low", "medium", "high", "never"]
"""From which risk of a tool on a person approves each call."""
Reason = Literal["risk", "rule", "tainted", "unknown_outcome"]
"""Why a person is asked. `unknown_outcome`: the call was begun, and its process died before its result was there."""

RISKS: tuple[Risk, ...] = ("low", "medium", "high")


class Approving(Protocol):
    """As an agent has it."""

    @property
    def risk(self) -> RiskFrom: ...
    @property
    def tools(self) -> Collection[str]: ...


class Allowed(Struct, frozen=True):
    pass


class NeedsApproval(Struct, frozen=True):
    reason: Reason
    detail: str
    """For people."""


class Off(Struct, frozen=True):
    detail: str
    """For the model."""


Decision = Allowed | NeedsApproval | Off

ALLOWED = Allowed()
_TAINTED = "The run has read content that nobody vouches for: the call may be that content's will."


def decide(
    tool: Tool, approving: Approving, when_tainted: WhenTainted, *, tainted: bool, asks: str | None = None
) -> Decision:
    """`when_tainted` is the agent's. `asks`: why a rule on the arguments wants a person to decide."""
    word = _word(tool.effect, tool.when_tainted, when_tainted, tainted=tainted)
    if word == "off":
        return Off(f"{tool.name} is off once the run has read content that nobody vouches for. Go on without it.")
    if word == "approve":
        return NeedsApproval("tainted", _TAINTED)
    if asks is not None:
        return NeedsApproval("rule", asks)
    if tool.name in approving.tools:
        return NeedsApproval("rule", f"The agent has a person approve each call of {tool.name}.")
    if _risky(tool.risk, approving.risk):
        return NeedsApproval("risk", f"The risk of {tool.name} is {tool.risk}.")
    return ALLOWED


def may_ask(tools: Iterable[Tool], approving: Approving, when_tainted: WhenTainted, *, tainted: bool = False) -> bool:
    """Whether a run with these tools can come to a call that a person decides on. `tainted`: it may be so from its
    begin."""
    known = list(tools)
    tainting = tainted or any(tool.untrusted for tool in known)
    return any(
        tool.name in approving.tools
        or any(isinstance(rule, AskingRule) for rule in tool.rules.values())
        or _risky(tool.risk, approving.risk)
        or _word(tool.effect, tool.when_tainted, when_tainted, tainted=tainting) == "approve"
        for tool in known
    )


def policy_of(approving: Approving, when_tainted: WhenTainted) -> str:
    """The version of what decides on an agent's calls."""
    return _hash((POLICY_VERSION, approving.risk, sorted(approving.tools), when_tainted))


def _word(effect: Effect, own: WhenTainted | None, of_agent: WhenTainted, *, tainted: bool) -> WhenTainted:
    return "allow" if effect == "read" or not tainted else own or of_agent


def _risky(risk: Risk, least: RiskFrom) -> bool:
    return least != "never" and RISKS.index(risk) >= RISKS.index(least)


def _hash(value: Any) -> str:
    return sha256(msgspec.json.encode(value)).hexdigest()[:16]


def _table() -> list[bool | str]:
    """What the rules above make of everything that they look at."""
    words = get_args(WhenTainted)
    tainted = [
        _word(effect, own, agent, tainted=seen)
        for effect, own, agent, seen in product(get_args(Effect), (None, *words), words, (False, True))
    ]
    return [*tainted, *[_risky(risk, least) for risk in RISKS for least in get_args(RiskFrom)]]


POLICY_VERSION = _hash(_table())
"""Another one when a rule decides otherwise, and only then: it is made of the decisions."""

"""What LIMITS says: how often and how many at once, for all together, for each user, and for each thing a user does."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.access.principal import DEFAULT_TIER
from app.errors import ConfigurationError

Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Scope = Literal["global", "peer", "peer-operation", "user", "operation"]
PEER_FACTOR = 10
"""How many times a user's limits all those may use whose address one peer tells, which could tell any."""

READS = frozenset({"sessions", "usage", "tools", "feedback", "runs"})
"""Operations that are no runs: they count as requests, and not among the runs at once."""


class Limit(BaseModel):
    """`per_minute` is exact over every 60 seconds; `concurrent` counts runs that have not ended."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_minute: Count | None = None
    concurrent: Count | None = None


class Tier(BaseModel):
    """The limits of one kind of user. `tools` is by name; `*` stands for every other tool, each by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user: Limit = Limit()
    chat: Limit = Limit()
    agent: Limit = Limit()
    sessions: Limit = Limit()
    usage: Limit = Limit()
    feedback: Limit = Limit()
    runs: Limit = Limit()
    tools: dict[str, Limit] = {}

    def of(self, operation: str) -> Limit:
        """`chat`, `agent`, `sessions`, `usage`, `feedback`, `runs`, `batches`, `tools` (their list), or `tool:NAME`."""
        match operation:
            case "chat":
                return self.chat
            case "agent":
                return self.agent
            case "sessions":
                return self.sessions
            case "usage":
                return self.usage
            case "feedback":
                return self.feedback
            case "runs":
                return self.runs
            case "tools" | "batches":
                return Limit()
            case _:
                name = operation.removeprefix("tool:")
                return self.tools.get(name) or self.tools.get("*") or Limit()


class Limits(BaseModel):
    """Users whose tier is not named here have the tier `default`; with none of that name, no limits of their own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    everyone: Limit = Field(default=Limit(), alias="global")
    tiers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")], Tier] = {}

    def tier(self, name: str) -> Tier:
        """`anonymous` is the tier of callers without credentials."""
        return self.tiers.get(name) or self.tiers.get(DEFAULT_TIER) or Tier()


def parse(text: str) -> Limits:
    """Raises ConfigurationError that names each bad value by its place in LIMITS."""
    try:
        return Limits.model_validate_json(text or "{}")
    except ValidationError as error:
        problems = [
            f"LIMITS: {'.'.join(str(part) for part in item['loc']) or 'the text'}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise ConfigurationError("\n".join(problems)) from None


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One number that a caller may not exceed. `policy` is its name towards callers."""

    scope: Scope
    policy: str
    most: int

    @property
    def shown(self) -> bool:
        """Whether callers are told of it: what the service or a proxy can take as a whole is nobody's business."""
        return self.scope in ("user", "operation")


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a tier's user is held to in one operation, widest first."""

    rates: tuple[Rule, ...]
    concurrent: tuple[Rule, ...]
    policies: str
    """As the header RateLimit-Policy has those that are shown."""


def rules(limits: Limits, tier: str, operation: str, *, within_run: bool = False, peered: bool = False) -> Rules:
    """`within_run`: the operation is part of a run, which was admitted; only its own limits count.

    `peered`: the caller's address is the word of a peer, which is held to wider limits of the same kind.
    """
    own = limits.tier(tier)
    levels: list[tuple[Scope, str, Limit]] = [("operation", operation, own.of(operation))]
    if not within_run:
        levels = [("global", "global", limits.everyone), ("user", "user", own.user), *levels]
    if peered:
        wider: list[tuple[Scope, str, Limit]] = [
            ("peer" if scope == "user" else "peer-operation", f"peer-{name}", _times(limit, PEER_FACTOR))
            for scope, name, limit in levels
            if scope != "global"
        ]
        levels = [*levels[:1], *wider, *levels[1:]]
    rates = tuple(Rule(scope, name, limit.per_minute) for scope, name, limit in levels if limit.per_minute)
    concurrent = tuple(
        Rule(scope, f"{name}-concurrent", limit.concurrent)
        for scope, name, limit in levels
        if limit.concurrent and (operation not in READS or scope in ("operation", "peer-operation"))
    )
    policies = [f'"{rule.policy}";q={rule.most};w=60' for rule in rates if rule.shown]
    policies += [f'"{rule.policy}";q={rule.most};qu="concurrent-requests"' for rule in concurrent if rule.shown]
    return Rules(rates, concurrent, ", ".join(policies))


def _times(limit: Limit, factor: int) -> Limit:
    return Limit.model_construct(
        per_minute=limit.per_minute and limit.per_minute * factor,
        concurrent=limit.concurrent and limit.concurrent * factor,
    )

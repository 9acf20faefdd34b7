"""On whose behalf a run goes, and what they may do."""

from typing import Literal

from msgspec import Struct

from app.errors import Forbidden

ANY_TOOL = "tools:*"
ANY_AGENT = "agents:*"
DEFAULT_TIER = "default"
ANONYMOUS_TIER = "anonymous"
SCOPE = r"chat|runs|approvals|admin|(?:tools|agents):(?:\*|[A-Za-z0-9_-]{1,64})"
"""Every scope there is, as a regular expression."""


class Credential:
    """How a caller proved who they are, to ask later whether it still holds.

    All are equal: principals are compared by who they are. Shows nothing of itself.
    """

    __slots__ = ()

    @property
    def fingerprint(self) -> str:
        """Of the API key, by which it is found again; empty for all else."""
        return ""

    def withdrawn(self) -> Literal["revoked", "expired"] | None:
        """Why what is done on its strength has to end now; None: it need not."""
        return None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Credential)

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "Credential()"


class Principal(Struct, frozen=True):
    """A caller. Holds nothing secret: it can be logged."""

    user: str  # 1 to 64 of [A-Za-z0-9_-]
    team: str | None = None  # likewise
    tier: str = DEFAULT_TIER  # likewise
    scopes: frozenset[str] = frozenset()
    address: str = ""
    """Where an anonymous caller comes from, to count them by: an IPv4 address or an IPv6 /64 network.

    Empty for those who are authenticated: they are counted by their names.
    """
    peer: str = ""
    """The proxy that told the address, if it is only one of a network of proxies: it could tell any."""
    authenticated: bool = False
    credential: Credential = Credential()

    def require(self, scope: str) -> None:
        """Raises Forbidden, which names the scope."""
        if scope not in self.scopes:
            raise Forbidden.lacking(scope)

    def may_use(self, tool: str) -> bool:
        return ANY_TOOL in self.scopes or f"tools:{tool}" in self.scopes

    def require_tool(self, tool: str) -> None:
        """Raises Forbidden, which names the scope."""
        if not self.may_use(tool):
            raise Forbidden.lacking(f"tools:{tool[:64]}")

    def may_ask(self, agent: str) -> bool:
        """Whether the caller may use an agent that is not public."""
        return ANY_AGENT in self.scopes or f"agents:{agent}" in self.scopes

    def usable(self, tools: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `tools` that the caller may use."""
        if ANY_TOOL in self.scopes:
            return tools
        return tuple(tool for tool in tools if self.may_use(tool))

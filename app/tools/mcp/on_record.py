"""Puts on record which tools of MCP servers can be called, and which are off until a person approves them."""

from app.audit.audit import NO_AUDIT, Audit
from app.audit.entry import Entry
from app.tools.mcp.definition import tool_name
from app.tools.mcp.looking import Offer


class Changes:
    """What servers offer, as far as it is on record."""

    def __init__(self) -> None:
        self.audit: Audit = NO_AUDIT
        """Set once the record is there."""
        self._seen: dict[str, object] = {}

    def look(self, server: str, offer: Offer) -> None:
        """Tools that nobody has pinned are counted: their names are the server's own words."""
        for name, state in offer.states.items():
            called = tool_name(server, name)
            if state != "unknown" and self._is_new(called, state):
                self.audit.note(Entry("mcp", "allowed" if state == "on" else "refused", on=called, why=state))
        if self._is_new(f"{server} new", offer.new) and offer.new:
            self.audit.note(Entry("mcp", "refused", on=server, why="new", count=len(offer.new)))

    def _is_new(self, what: str, state: object) -> bool:
        changed = self._seen.get(what) != state
        self._seen[what] = state
        return changed

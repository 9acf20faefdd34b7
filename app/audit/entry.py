"""What is put on record."""

from typing import Literal

from msgspec import Struct

Action = Literal["authenticate", "limit", "guard", "redact", "tool", "approval", "admin", "mcp"]
Decision = Literal["allowed", "refused", "flagged", "asked", "approved", "denied", "expired", "ended"]
"""`ended`: what was allowed by an earlier entry is over, and `why` says how."""


class Entry(Struct, frozen=True, omit_defaults=True):
    """One line: who wanted what on what, what was decided, why, and by which policy. Nothing that anybody wrote, and
    no secret, is in it."""

    action: Action
    decision: Decision
    user: str = ""
    team: str = ""
    address: str = ""
    """Of who has shown no credentials."""
    on: str = ""
    """The tool, agent, approval, limit or route."""
    why: str = ""
    """A fixed word: a rule's id, an error's slug, a reason."""
    policy: str = ""
    """The version of the rules that decided."""
    run_id: str = ""
    request_id: str = ""
    arguments: str = ""
    """SHA-256 of the canonical JSON of a call's arguments."""
    count: int = 1
    """How often: equal refusals of one caller within a minute are one entry beside the first; so are a run's redactions
    of a kind."""

"""The record of what was decided, as those who decide know it."""

from typing import Protocol

from app.audit.entry import Entry


class Audit(Protocol):
    async def write(self, entry: Entry) -> None:
        """Return once it is on record: what it is about may then have its effect. Raises StateUnavailable."""

    def note(self, entry: Entry) -> None:
        """Put a refusal on record, soon: nothing waits for it, and none is lost while the process lives."""


class NoAudit:
    """Where AUDIT is false."""

    async def write(self, entry: Entry) -> None:
        pass

    def note(self, entry: Entry) -> None:
        pass


NO_AUDIT = NoAudit()

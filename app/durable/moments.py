"""Times as the API shows them."""

from datetime import UTC, datetime


def moment(seconds: float) -> datetime:
    """The time in UTC, to the millisecond, as the store's clock counts."""
    return datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)


def moment_or_none(seconds: float) -> datetime | None:
    """None for 0: not yet."""
    return moment(seconds) if seconds else None

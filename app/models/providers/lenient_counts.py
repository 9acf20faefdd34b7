"""Counts as servers write them: whole, as floats, as text, null."""

from typing import Any


def count_of(value: Any) -> int:
    """The count, 0 where there is none."""
    if type(value) is int:
        return max(value, 0)
    try:
        return max(int(float(value)), 0)
    except (TypeError, ValueError, OverflowError):
        return 0

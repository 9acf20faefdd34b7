"""Overlapping finds made one, which is named by the rule that says most."""

from collections.abc import Sequence

from app.redaction.matching import Found


def merged(found: Sequence[Found]) -> list[Found]:
    """In their order, none overlapping another: what overlaps is taken out together, by the name that says most."""
    if len(found) < 2:
        return list(found)
    whole: list[Found] = []
    for each in sorted(found, key=_order):
        if whole and each.start < whole[-1].end:
            last = whole[-1]
            telling = max(last, each, key=_tells)
            end = max(last.end, each.end)
            whole[-1] = telling._replace(start=last.start, end=end, until=last.until or each.until)
        else:
            whole.append(each)
    return whole


def _order(one: Found) -> tuple[int, int, tuple[bool, int]]:
    return one.start, one.end, one.rank


def _tells(one: Found) -> tuple[bool, bool, int, int]:
    """How much its name says. Between two of the same, the rule that stands earlier wins."""
    general, place = one.rank
    return one.named, not general, one.end - one.start, -place

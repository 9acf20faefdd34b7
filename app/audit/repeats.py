"""Equal refusals of one caller within a minute: the first goes on record, the others together as one entry.

Whoever sends the same again and again, or has many addresses, cannot fill the store.
"""

from msgspec.structs import replace

from app.audit.entry import Entry

WINDOW_SECONDS = 60.0
MOST_STRANGERS = 20
"""Different refusals of callers without credentials that are told apart in a window, in one process."""
MOST_USERS = 1_000
OTHERS = "others"


class Repeats:
    """The refusals of one window."""

    def __init__(self) -> None:
        self._counts: dict[Entry, int] = {}
        self._strangers = 0

    def __len__(self) -> int:
        return len(self._counts)

    def is_first(self, entry: Entry) -> bool:
        """Whether the entry is to go on record by itself. Otherwise it is counted."""
        what = _what(entry)
        if what in self._counts:
            self._counts[what] += 1
            return False
        if (self._strangers >= MOST_STRANGERS) if entry.address else (len(self._counts) >= MOST_USERS):
            what = _of_others(what)
            self._counts[what] = self._counts.get(what, 0) + 1
            return False
        self._strangers += bool(entry.address)
        self._counts[what] = 0
        return True

    def take(self) -> list[Entry]:
        """What was counted; the next window begins."""
        counts, self._counts, self._strangers = self._counts, {}, 0
        return [replace(entry, count=count) for entry, count in counts.items() if count]


def repeats(entry: Entry) -> bool:
    """Whether there may be any number of such an entry, for nothing but the asking."""
    stranger = bool(entry.address) and entry.action == "guard"
    by_hand = entry.action == "tool" and not entry.run_id
    always = entry.action in ("authenticate", "limit", "approval")
    return entry.decision == "refused" and (always or stranger or by_hand)


def _what(entry: Entry) -> Entry:
    return replace(entry, run_id="", request_id="", arguments="", count=1)


def _of_others(what: Entry) -> Entry:
    return replace(what, user="", team="", address=OTHERS if what.address else "", on=OTHERS)

"""Verifies a record: its chains and its signed heads. Memory is bounded by the numbers of writers and of heads."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from msgspec import Struct

from app.audit.chains import Chains, Kind, Problem
from app.audit.heads import Head, Kept
from app.audit.record import BEGIN
from app.audit.signed import Signed
from app.audit.stream import Stored, order_of

MOST_TOLD = 1_000
"""Problems that are kept; the rest is counted."""


class Verdict(Struct):
    """What came of it. There are no problems where all holds together."""

    problems: list[Problem]
    notes: list[str]
    found: int = 0
    """Number of problems, those included that are not kept."""
    records: int = 0
    writers: int = 0
    heads: int = 0


class Verification:
    """One pass: `add` is given the records in the order of the stream, then `end` tells."""

    def __init__(self, kept: Kept, heads: Iterable[bytes] = (), public_keys: Collection[str] = ()) -> None:
        """See Signed."""
        self._signed = signed = Signed(kept, heads, public_keys)
        self._pinned = bool(public_keys)
        self._chains = Chains({writer: anchor.link for writer, anchor in signed.anchors.items()})
        self._unmet = {
            writer: {
                link.sequence: [head for head in found.values() if head.sequence == link.sequence] for link in found
            }
            for writer, found in signed.heads.items()
        }
        self.verdict = Verdict([], [], heads=sum(map(len, signed.heads.values())))
        for problem in signed.problems:
            self._tell(problem)

    def add(self, stored: Stored) -> None:
        writer, link, problems = self._chains.add(stored)
        self.verdict.records += 1
        for problem in problems:
            self._tell(problem)
        for head in self._unmet.get(writer, {}).pop(link.sequence, ()):
            if head.hash != link.hash:
                self._say("rewritten", head, f"The record is not the one that the head of {_time(head.at)} has signed.")

    def end(self) -> Verdict:
        """After the last record."""
        signed, verdict = self._signed, self.verdict
        verdict.writers = len(self._chains.ends)
        expired = {writer for writer, found in self._unmet.items() if found and self._judge(writer, found)}
        known = (self._chains.ends.keys() | signed.anchors.keys() | signed.heads.keys()) - expired
        removed = 0 if signed.trimmed is None else signed.trimmed.removed
        if len(known) + removed < signed.writers:
            missing = signed.writers - removed - len(known)
            self._tell(Problem("writers", "", 0, f"A head says {signed.writers} writers: {missing} are missing."))
        self._look_at_last_id()
        self._take_notes()
        return verdict

    def _judge(self, writer: str, heads: dict[int, list[Head]]) -> bool:
        """Tell what is wrong with heads whose records have not come. Returns whether they are too old to have any."""
        trimmed, anchor = self._signed.trimmed, self._signed.anchors.get(writer)
        end = self._chains.ends.get(writer)
        last = max(heads)
        head = heads[last][-1]
        for found in heads.get(anchor.sequence, ()) if anchor else ():
            if anchor and found.hash != anchor.hash:
                self._say("rewritten", found, "What was trimmed is not what the head has signed.")
        if last <= (end or (anchor.link if anchor else BEGIN)).sequence:
            return False  # trimmed, or told as missing
        if end is None and anchor is None:
            if trimmed is not None and head.at <= trimmed.at:
                return True
            self._say("gone", head, f"All {last} records that the head of {_time(head.at)} has signed are missing.")
        else:
            there = end.sequence if end else 0
            self._say("cut", head, f"The chain ends at {there}, and the head of {_time(head.at)} has signed {last}.")
        return False

    def _look_at_last_id(self) -> None:
        signed = self._signed
        seen = max(self._chains.last_id or "0", signed.trimmed.until if signed.trimmed else "0", key=order_of)
        if signed.last_id and order_of(signed.last_id) > order_of(seen):
            self._tell(Problem("cut", "", 0, f"The stream ends at {seen}, and a head has signed {signed.last_id}."))

    def _take_notes(self) -> None:
        signed, notes = self._signed, self.verdict.notes
        if not self._pinned:
            notes.append("Heads of any key count, for none was given: AUDIT_KEY_FILE or --public-key.")
        for writer, anchor in signed.anchors.items():
            if anchor.breaks:
                notes.append(f"{writer}: {anchor.breaks} breaks in what was trimmed; see `audit.broken` in the log.")
        notes += [f"{writer}: {count} entries are in the log alone." for writer, count in signed.dropped.items()]
        young = sum(
            end.sequence - max([link.sequence for link in signed.heads.get(writer, ())], default=0)
            for writer, end in self._chains.ends.items()
        )
        if unsigned := self._chains.ends.keys() - signed.heads.keys():
            notes.append(f"No head was ever signed of {', '.join(sorted(unsigned)[:20])}.")
        if young > 0:
            notes.append(f"{young} records are younger than the last heads: nothing says yet that no more came.")

    def _say(self, kind: Kind, head: Head, detail: str) -> None:
        self._tell(Problem(kind, head.writer, head.sequence, detail))

    def _tell(self, problem: Problem) -> None:
        self.verdict.found += 1
        if len(self.verdict.problems) < MOST_TOLD:
            self.verdict.problems.append(problem)


def _by_sequence(heads: Iterable[Head]) -> dict[int, list[Head]]:
    found: dict[int, list[Head]] = {}
    for head in heads:
        found.setdefault(head.sequence, []).append(head)
    return found


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")

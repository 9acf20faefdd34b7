"""Takes secrets out of a text that comes in pieces: what may become one waits until it is known."""

from typing import Any

from app.redaction.matching import NEAR_BYTES, TOKEN, Found
from app.redaction.redactor import PLACEHOLDER
from app.redaction.scanning import Scanning

MAX_HELD = 512
"""Characters that wait at most."""
_KEPT = MAX_HELD // 2  # of a longer word, when its first half leaves
_CONTEXT = 96  # characters that have left, and say what the next ones are
_BEGIN = _CONTEXT - NEAR_BYTES  # a word to begin with is looked for in so many: what tells a secret is never cut off
_GROUP = 64  # the longest row of groups that is one thing, such as an IBAN
_ROW = 192  # what leaves at once of a longer row

_WORD = "".join(map(chr, range(0x21, 0x7F)))
_GROUPS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ -./+()"
_TOKEN = TOKEN.decode()
_MARKS = ".,:;!?()\"'*"
_DIGITS = frozenset("0123456789")
_FIRST = 7  # letters of a text's first word that may leave before the rest: fewer than tell a secret
_END_SEEN = 160  # characters in which the end of a secret without bounds is looked for together with what comes next


class Filter:
    """A TextFilter. `_window` is the text from a little before what is held on; `_left` characters of it have left."""

    __slots__ = ("_begun", "_left", "_scan", "_scanned", "_start", "_until", "_window", "_word", "redacted")

    def __init__(self, scan: Scanning, before: str = "") -> None:
        """`before` has left."""
        self.redacted = False
        self._scan = scan
        self._window = before[-2 * _CONTEXT :]
        self._left = len(self._window)
        self._start = len(self._window.rstrip(_WORD))  # of its last word
        self._scanned = 0
        self._begun = bool(before)  # something has left
        self._word = False  # the rest of a word is swallowed
        self._until: Any = None  # all is swallowed until this is found

    def feed(self, text: str) -> str:
        if self._until is not None or self._word:
            text = self._swallow(text)
            if not text:
                return ""
        window, left = self._window + text, self._left
        self._window = window
        if within := len(text.rstrip(_WORD)):  # else the last word goes on
            self._start = len(window) - len(text) + within
        held = start = self._start
        if start > left and window[start - 1] == " ":
            held = _groups_from(window, start, left)
        if held > left and (self._begun or not window[:held].isspace()):
            return self._release(window, held)
        if len(window) - left > MAX_HELD:
            return self._overflow(window)
        return "" if self._begun or held < start else self._first(window, start)

    def end(self, *, cut: bool = False) -> str:
        window, self._window = self._window, ""
        left, self._left = self._left, 0
        if len(window) == left or self._until is not None:
            return ""
        found, open_from = self._found(window)
        if not cut:
            return self._shown(window, left, len(window), found)
        return self._shown(window, left, max(left, min(self._sure(window, left), open_from)), found)

    def _sure(self, window: str, left: int) -> int:
        """How much of a text that was cut is no beginning of a secret."""
        word = window[self._start :]
        if len(word) > _FIRST and not _is_prose(word.strip(_MARKS)):
            return self._start
        row = _groups_from(window, self._start, left)
        return row if len(window) - row > _FIRST else len(window)

    def _found(self, window: str) -> tuple[list[Found], int]:
        fresh, self._scanned = len(window) - self._scanned, len(window)
        return self._scan.open(window, self._left, fresh)

    def _release(self, window: str, held: int) -> str:
        """All before `held` leaves, unless it is part of something that goes on."""
        left = self._left
        found, open_from = self._found(window)
        if open_from < held:
            held = open_from
        for each in found:
            if each.until is not None and each.end > left:
                return self._endless(window, found, each)
            if each.start < held < each.end:
                held = each.start
        if held <= left:
            return self._overflow(window) if len(window) - left > MAX_HELD else ""
        shown = self._shown(window, left, held, found) if found else window[left:held]
        self._move(window, held)
        return shown if len(window) - held <= MAX_HELD else shown + self._overflow(self._window)

    def _move(self, window: str, left: int) -> None:
        """`left` characters have left; of those only the last ones are of use."""
        self._begun = True
        if left > 2 * _CONTEXT:
            begin = left - _CONTEXT
            last = begin + _BEGIN
            begin = window.find(" ", begin, last) + 1 or window.find("\n", begin, last) + 1 or begin
            window, left = window[begin:], left - begin
            self._start, self._scanned = max(0, self._start - begin), max(0, self._scanned - begin)
        self._window, self._left = window, left

    def _first(self, window: str, start: int) -> str:
        """The first letters of a text need not wait for the rest of their word, unless a secret begins like that. White
        space before them does."""
        word = window[start:]
        if not _is_prose(word) or self._scan.begins(word):
            return ""
        self._found(window)  # which raises if the scan is broken
        self._begun = True
        self._left = start + min(len(word), _FIRST)
        return window[: self._left]

    def _overflow(self, window: str) -> str:
        """A word that is longer than can be held: it is swallowed if it goes on with something, else half of it
        leaves."""
        found, _ = self._found(window)
        last = found[-1] if found else None
        if last is not None and last.end == len(window):
            return self._swallow_from(window, found, last)
        begun = self._scan.begun(window, self._left)
        if begun is not None:
            return self._swallow_from(window, found, begun)
        held = len(window) - _KEPT
        for each in found:
            if each.start < held < each.end:
                held = each.end
        shown = self._shown(window, self._left, held, found)
        self._move(window, held)
        return shown

    def _swallow_from(self, window: str, found: list[Found], last: Found) -> str:
        """Before it, all leaves; it, and the rest of its word, do not."""
        earlier = [each for each in found if each.end <= last.start]
        shown = self._shown(window, self._left, len(window), [*earlier, last._replace(end=len(window))])
        self._word, self._begun = True, True
        self._window, self._left, self._start, self._scanned = "", 0, 0, 0
        return shown

    def _endless(self, window: str, found: list[Found], last: Found) -> str:
        shown = self._swallow_from(window, found, last)
        self._word, self._until = False, last.until
        self._window = window[last.start :]
        return shown

    def _swallow(self, text: str) -> str:
        """What comes after what is swallowed."""
        if self._word:
            rest = text.lstrip(_TOKEN)
            self._word = not rest
            return rest
        seen = (self._window + text).encode("utf-8", "surrogatepass")
        match = self._until.search(seen)
        if match is None:
            self._window = (self._window + text)[-_END_SEEN:]
            return ""
        self._until, self._window, self._start = None, "", 0
        rest = seen[match.end() :].decode("utf-8", "surrogatepass").lstrip(_TOKEN)
        self._word = not rest
        return rest

    def _shown(self, window: str, left: int, held: int, found: list[Found]) -> str:
        """What leaves, with placeholders in it."""
        pieces: list[str] = []
        at = left
        for each in found:
            if each.end <= at:
                continue
            if each.start >= held:
                break
            pieces += (window[at : max(at, each.start)], PLACEHOLDER.format(kind=each.kind))
            self._scan.count(each.kind)
            self.redacted = True
            at = each.end
        pieces.append(window[at:held])
        return "".join(pieces)


def _is_prose(word: str) -> bool:
    """Letters of ASCII, small but for the first."""
    return word.isalpha() and word.isascii() and (word.islower() or word[1:].islower())


def _groups_from(window: str, start: int, left: int) -> int:
    """Where a row of groups of digits and capitals begins that may go on; without one, `start`: of the last word."""
    word = window[start:]
    if len(word) > _GROUP or word.rstrip(_GROUPS):
        return start
    tail = max(0, len(window) - 2 * _GROUP)
    begin = tail + len(window[tail:].rstrip(_GROUPS))
    if begin >= start or _DIGITS.isdisjoint(window[begin:]):
        return start
    begin = len(window) - len(window[begin:].lstrip(" "))
    if begin and window[begin - 1] in _WORD:
        begin = len(window[:begin].rstrip(_WORD))
    if len(window) - begin > _GROUP:
        begin = window.find(" ", len(window) - _GROUP, start) + 1 or start
        if begin < left + _ROW:  # many together: each is looked at several times
            return min(left, start)
    return min(begin, start)

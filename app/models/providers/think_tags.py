"""Reasoning between tags in the text of a model whose server has no parser for it: `<think>…</think>` and its kin."""

import re

_CLOSING = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "<seed:think>": "</seed:think>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
}
_OPEN = re.compile("|".join(map(re.escape, _CLOSING)))
_CLOSE = re.compile("|".join(map(re.escape, _CLOSING.values())))
_TAGS = (*_CLOSING, *_CLOSING.values())
_FIRST = re.compile("[<[◁]")
_LONGEST = max(map(len, _TAGS))
_QUOTES = ("`", "'", '"', "“", "\u2018")

Parts = tuple[str, str]
"""Reasoning, and the piece of the answer that comes after it; either may be empty."""


class Splitter:
    """Tells the reasoning in a text that comes in pieces from the answer.

    Reasoning stands at the start of the text. With `opened` its opening tag is in the prompt, so only the closing one
    comes, and the text is held back until then. A closing tag that was not expected makes `late` true: what was told
    as answer until then was reasoning. `unopened` says that there was a closing tag only.
    While it is `plain`, a piece without the first character of a tag is the answer's, and `previous` may be set to it.
    """

    late = False
    unopened = False
    plain = False
    previous = ""
    _close = ""  # the closing tag of the reasoning that goes on
    _held = ""  # a tag may begin with it
    _thought = False
    _answering = False
    _literal = False  # the answer itself has an opening tag: it speaks about tags

    def __init__(self, *, opened: bool = False) -> None:
        self._opened = opened
        self._untouched = not opened
        self._waiting: list[str] = []  # with `opened`: not known yet to be reasoning

    def feed(self, text: str) -> Parts:
        if "<" not in text and "[" not in text and "◁" not in text and (self.plain or self._begins_plain(text)):
            self.previous = text
            return "", text
        if self._untouched and not text.isspace() and "<" not in text and "[" not in text and "◁" not in text:
            self._untouched = False
            self._answering = self.plain = True
            self.previous = text
            return "", text
        self._untouched = False
        text, self._held = self._held + text, ""
        parts = self._split(text, last=False)
        self.plain = self._answering and not self._held
        return parts

    def _begins_plain(self, text: str) -> bool:
        """Whether the answer begins with this text, in which there is no tag: as most do."""
        if self._opened or self._close or self._held or self._thought or not text.strip():
            return False
        self._answering = self.plain = True
        return True

    def end(self, *, cut: bool = False) -> Parts:
        """What is still held back. `cut`: the answer ended at its limit, maybe before the reasoning's closing tag."""
        text, self._held = "".join(self._waiting) + self._held, ""
        self._waiting.clear()
        if self._opened and cut:
            return text, ""
        self._opened = False
        return self._split(text, last=True) if text else ("", "")

    def _split(self, text: str, *, last: bool) -> Parts:
        if self._close:
            return self._reasoning(text, last)
        if self._answering:
            return self._answer(text, last)
        if self._opened:
            return self._wait(text, last)
        return self._start(text, last)

    def _start(self, text: str, last: bool) -> Parts:
        stripped = text.lstrip()
        if opening := _OPEN.match(stripped):
            self._close = _CLOSING[opening.group()]
            return self._reasoning(stripped[opening.end() :], last)
        if not last and (not stripped or any(tag.startswith(stripped) for tag in _CLOSING)):
            self._held = text
            return "", ""
        self._answering = True
        return self._answer(stripped if self._thought else text, last)

    def _wait(self, text: str, last: bool) -> Parts:
        if not self._waiting and _OPEN.match(text.lstrip()):
            self._opened = False
            return self._start(text, last)
        if closing := _CLOSE.search(text):
            thought = "".join(self._waiting) + text[: closing.start()]
            self._waiting.clear()
            self.unopened = True
            return self._closed(thought, text[closing.end() :], last)
        keep = _LONGEST if not self._waiting else _partial(text)
        self._held = text[max(0, len(text) - keep) :] if keep else ""
        if taken := text[: len(text) - len(self._held)]:
            self._waiting.append(taken)
        return "", ""

    def _reasoning(self, text: str, last: bool) -> Parts:
        thought, closing, rest = text.partition(self._close)
        if closing:
            return self._closed(thought, rest, last)
        return self._all_but_tag(text, last), ""

    def _closed(self, thought: str, rest: str, last: bool) -> Parts:
        self._close = ""
        self._opened = False
        self._thought = True
        more, answer = self._start(rest, last)
        return thought + more, answer

    def _answer(self, text: str, last: bool) -> Parts:
        """Watches for a closing tag whose opening one was in the prompt."""
        self._literal = self._literal or _OPEN.search(text) is not None
        closing = None if self._literal or self._thought else _CLOSE.search(text)
        if closing and not (self.previous + text[: closing.start()]).endswith(_QUOTES):
            self.late = self.unopened = True
            self._answering = False
            return self._closed(text[: closing.start()], text[closing.end() :], last)
        answer = self._all_but_tag(text, last)
        self.previous = answer or self.previous
        return "", answer

    def _all_but_tag(self, text: str, last: bool) -> str:
        keep = 0 if last else _partial(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _partial(text: str) -> int:
    """The length of the end of `text` that a tag may begin with."""
    for first in _FIRST.finditer(text, max(0, len(text) - _LONGEST + 1)):
        start = first.start()
        if any(tag.startswith(text[start:]) for tag in _TAGS):
            return len(text) - start
    return 0

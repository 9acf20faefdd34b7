"""Text of models, tools and users for a terminal: nothing in it moves the cursor, sets a title or hides a word."""

import re

_NOT_PRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters except tab and line feed: each escape sequence begins with one
    "\u200e\u200f\u2028-\u202e\u2066-\u2069"  # marks that turn the direction of writing, line separators
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"  # what cannot be encoded, annotations, invisible tags
)
STAND_IN = "\ufffd"


def printable(text: str) -> str:
    """The text with line feeds as its only line ends, and U+FFFD in place of each character that a terminal acts on."""
    return _NOT_PRINTABLE.sub(STAND_IN, text.replace("\r\n", "\n"))


def on_one_line(text: str, most: int = 200) -> str:
    """At most so many characters of it, without line ends."""
    line = re.sub(r"\s+", " ", printable(text)).strip()
    return line if len(line) <= most else f"{line[: most - 1]}…"

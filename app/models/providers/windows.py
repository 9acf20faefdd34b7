"""What a provider says of a model's context window when a request does not fit."""

import re
from typing import NamedTuple

_MINIMUM = 256
_WINDOW = re.compile(
    r"(?:maximum )?(?:context|model) (?:length|window|size|limit)\W{0,2}(?: \w+){0,3}?\W{0,2}(?:is|of|:|=|\()"
    r"(?: only)? ?\W?(\d[\d,]*)"
    r"|n_ctx\W{1,4}(\d+)|max_new_tokens` must be <= (\d+)|exceed context limit: \d+ \+ \d+ > (\d+)"
)
_INPUT = re.compile(
    r"(\d+) (?:in (?:the|your) messages|input tokens|`inputs` tokens)"
    r"|(?:has|contains|given:?|input length is)(?: at least)? (\d+) (?:\w+ )?tokens|exceed context limit: (\d+) \+"
)


class Window(NamedTuple):
    """Tokens of the window, and of the request's input, if that is told."""

    size: int
    input: int | None


def told_window(words: str) -> Window | None:
    """The context window in the words of a refusal, in lower case."""
    if not (found := _WINDOW.search(words)):
        return None
    size = _number(found)
    used = _INPUT.search(words)
    return Window(size, _number(used) if used else None) if size >= _MINIMUM else None


def _number(found: re.Match[str]) -> int:
    return int(next(group for group in found.groups() if group).replace(",", ""))

"""What to change in a request for the words in which a provider refused it."""

import re
from collections.abc import Callable, Iterator

import msgspec

from app.models.providers.changes import Changes
from app.models.providers.refusal_words import (
    AT_MOST,
    INSTEAD,
    LESS_THAN,
    MAX_TOKENS,
    NO_PLAIN,
    NO_STREAM,
    ONLY_STREAM,
    REFUSING,
    TOOL_FAILED,
    TOOLS,
    WAYS,
)

Rule = Callable[[str, frozenset[str], Changes], Changes | None]
"""From an error's words in lower case, and the parameters that it names."""

_TOOL_PARAMETERS = {"tools", "tool_choice"}
_OTHER_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_MINIMUM_OUTPUT = 16


def _reasoning_effort(words: str, _: frozenset[str], changes: Changes) -> Changes | None:
    """Tools are refused unless the model does not reason, or if it cannot help reasoning, at all."""
    if "reasoning_effort" not in words:
        return None
    if changes.effort is not None:
        return msgspec.structs.replace(changes, effort=None, left_out=changes.left_out | _TOOL_PARAMETERS)
    return msgspec.structs.replace(changes, effort="none") if "tools" in words else None


def _ways(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    text = " ".join((*names, words))
    for way, pattern in WAYS.items():
        if way not in changes.ways and pattern.search(text):
            return msgspec.structs.replace(changes, ways=changes.ways | {way})
    if "'system'" in words and any(name.endswith("role") for name in names):
        return msgspec.structs.replace(changes, ways=changes.ways | {"system_prompt_in_the_first_message"})
    return None


def _max_tokens(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    """Too many are asked for, or they have another name here."""
    found = MAX_TOKENS.search(words) or MAX_TOKENS.search(" ".join(names))
    if not found:
        return None
    for limit in _limits(words):
        if _MINIMUM_OUTPUT <= limit < (changes.max_output or 1_000_000):
            return msgspec.structs.replace(changes, max_output=limit)
    instead = INSTEAD.search(words)
    named = next((name for name in names if name in _OTHER_NAMES), found.group())
    refused = _OTHER_NAMES[instead[1]] if instead else named
    other = _OTHER_NAMES.get(refused)
    if other is None or not REFUSING.search(words) or changes.renamed is not None:
        return None
    return msgspec.structs.replace(changes, renamed=(refused, other))


def _limits(words: str) -> Iterator[int]:
    """What may be the maximum of tokens, the likelier ones first."""
    for pattern, above in ((AT_MOST, 0), (LESS_THAN, 1)):
        for found in pattern.finditer(words):
            yield int(next(group for group in found.groups() if group).replace(",", "")) - above


def _tools(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    if "tools" in changes.left_out or (TOOL_FAILED.search(words) and changes.effort is None):
        return None
    if not TOOLS.search(words) and not ("tools" in names and REFUSING.search(words)):
        return None
    return msgspec.structs.replace(changes, left_out=changes.left_out | _TOOL_PARAMETERS)


def _stream(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    if changes.stream is not None or "stream_options" in words or "stream_options" in names:
        return None
    if NO_STREAM.search(words) and not NO_PLAIN.search(words):
        return msgspec.structs.replace(changes, stream=False)
    if NO_PLAIN.search(words) or ONLY_STREAM.search(words):
        return msgspec.structs.replace(changes, stream=True)
    if "stream" in names and REFUSING.search(words):
        return msgspec.structs.replace(changes, stream=False)
    return None


RULES: tuple[Rule, ...] = (_reasoning_effort, _ways, _stream, _max_tokens, _tools)


def refuses(name: str, words: str, names: frozenset[str]) -> bool:
    """Whether the parameter is refused, by its name or by what it is called in a sentence: `does not support thinking`
    for `think`."""
    if not REFUSING.search(words):
        return False
    said = re.escape(name).replace("_", "[_ ]")
    return name in names or re.search(rf"(?<![\w.]){said}(?:s|ing)?(?!\w)", words) is not None

"""The words in which providers refuse optional parameters, and the change that each asks for."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct


class Changes(Struct, frozen=True):
    """How the requests to one model differ from the usual ones."""

    left_out: frozenset[str] = frozenset()
    """Parameters."""
    renamed: tuple[str, str] | None = None
    """A parameter, and what it is called instead."""
    effort: str | None = None
    """`reasoning_effort` of requests with tools."""
    stream: bool | None = None
    max_output: int | None = None
    """Maximum of `max_tokens`."""
    ways: frozenset[str] = frozenset()
    """Other ways to write messages, by names that their adapter knows."""

    def apply(self, body: dict[str, Any]) -> None:
        """Change the parameters of a request, those of the messages excepted."""
        if self.effort is not None and "tools" in body:
            body["reasoning_effort"] = self.effort
        for name in self.left_out:
            body.pop(name, None)
        if self.renamed and self.renamed[0] in body:
            body[self.renamed[1]] = body.pop(self.renamed[0])

    def words(self) -> list[str]:
        """The changes for the log."""
        words = [f"without {name}" for name in sorted(self.left_out)]
        if self.renamed:
            words.append(f"{self.renamed[1]} for {self.renamed[0]}")
        if self.effort is not None:
            words.append(f"reasoning_effort {self.effort} with tools")
        if self.stream is not None:
            words.append("streamed" if self.stream else "not streamed")
        if self.max_output is not None:
            words.append(f"at most {self.max_output} tokens of output")
        return words + [way.replace("_", " ") for way in sorted(self.ways)]


NO_CHANGES = Changes()


Rule = Callable[[str, frozenset[str], Changes], Changes | None]


_REFUSING = re.compile(
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|forbidden|invalid(?!_)|deprecated|only the default"
    r"|extra (?:fields|inputs)|additional propert|no such|cannot be|(?:not|n't) (?:\w+ ){0,2}?"
    r"(?:support|allow|permit|enabl|availab|recogni|accept|valid|implement|exist)"
)
_TOOLS = re.compile(
    r"--jinja|--enable-auto-tool-choice|--tool-call-parser|unsupported param\w*:? \W?tools"
    r"|(?:tools?|functions?)[ _-]?(?:use|calls?|calling|choice)?\W{0,3}(?:\w+ ){0,4}?(?:not|n't) "
    r"(?:\w+ ){0,2}?(?:support|enabl|availab|allow|implement)"
    r"|(?:not|n't|no) (?:\w+ ){0,2}?(?:support|enabl|availab|allow)\w* (?:\w+ ){0,4}?\W?(?:tool|function[ _-]?call)"
    r"|no (?:\w+ ){1,4}?supports? (?:tool|function)"
    r"|(?:unrecogni[sz]ed|unknown|unexpected|extra|additional|unsupported) (?:\w+ ){0,3}?\w*:? ?\W?tools\b"
)
_TOOL_PARAMETERS = {"tools", "tool_choice"}
_TOOL_FAILED = re.compile(r"tool_use_failed|failed to call a function|reasoning_effort")
_MAX = re.compile(r"\bmax_(?:completion_|output_|new_)?tokens\b")
_OTHER_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_INSTEAD = re.compile(r"\buse \W?(max_(?:completion_)?tokens)\b")
_MINIMUM_OUTPUT = 16
_TOO_LARGE = re.compile(
    r"(?:at most|less than or equal to|<=|between 1 and|no more than|up to) \W?(\d+)|\[\d+, ?(\d+)\]"
    r"|> (\d+), which is the maximum|maximum (?:\w+ ){0,5}?(?:is|of|:) \W?(\d+)|exceed\w* (?:\w+ ){0,5}?\W?(\d+)"
)
_NO_STREAM = re.compile(
    r"stream(?:ing)?\W{0,2}(?: \w+){0,4}? (?:not|n't) (?:\w+ )?(?:support|allow|enabl|availab)"
    r"|(?:not|n't) support \W?stream(?:ing)?\b|(?:not|n't) (?:\w+ ){0,2}?tools?(?: use)? (?:in|with|when|while) stream"
)
_ONLY_STREAM = re.compile(
    r"only supports? (?:the )?stream|stream ?= ?true|enable the stream|for non-streaming calls"
    r"|(?:only|must|requires?) (?:\w+ ){0,4}?stream(?:ing|ed)?\b"
)
_KEYWORD = r"\b(?:additionalproperties|(?:max|min)(?:length|items)|exclusive(?:max|min)imum|(?:any|one|all)of)\b"
_NOT_KNOWN = r"(?:unknown|unsupported|unrecogni[sz]ed|unexpected|(?:not|n't) (?:\w+ ){0,2}?(?:support|permit|allow))"
_WAYS = {
    "system_prompt_in_the_first_message": re.compile(
        r"(?:system|developer) (?:role|message|prompt|instruction)s? (?:\w+ ){0,3}?(?:not|n't) "
        r"|(?:not|n't) support (?:\w+ ){0,3}?\W?(?:system|developer)\b|roles must alternate"
        r"|only user(?: and|,) (?:assistant|model)"
    ),
    "reasoning_not_sent_back": re.compile(
        r"messages.*\b(?:reasoning(?:_content|_details)?|thinking_blocks|extra_content|provider_specific_fields)\b"
        r".*(?:unsupported|not permitted|forbidden|unknown|unrecogni[sz]ed|unexpected|not allowed|invalid)"
    ),
    "reasoning_content_in_every_call": re.compile(
        r"reasoning_content\W{0,2}(?: \w+)* must be passed"
        r"|reasoning_content\W{0,2} is missing|missing \W?reasoning_content"
    ),
    "without_marks_for_the_cache": re.compile(
        r"cache_control\b.*(?:not permitted|forbidden|unknown|unrecogni[sz]ed|unexpected|not allowed|unsupported"
        r"|invalid|(?:not|n't) support)"
    ),
    "schemas_of_few_words": re.compile(rf"{_KEYWORD}.*{_NOT_KNOWN}|{_NOT_KNOWN}.*{_KEYWORD}"),
    "signature_in_every_call": re.compile(r"missing (?:a )?\W?thought_signature"),
    "ids_of_nine_characters": re.compile(r"a-z, a-z, 0-9, with a length of 9"),
    "tool_calls_as_text": re.compile(
        r"must define tools|expects the \W?tools=|toolconfig field must be defined|tool_calls? (?:\w+ )?without tools"
    ),
}


def _reasoning_effort(words: str, _: frozenset[str], changes: Changes) -> Changes | None:
    """Tools are refused unless the model does not reason, or if it cannot help reasoning, at all."""
    if "reasoning_effort" not in words:
        return None
    if changes.effort is not None:
        return msgspec.structs.replace(changes, effort=None, left_out=changes.left_out | _TOOL_PARAMETERS)
    return msgspec.structs.replace(changes, effort="none") if "tools" in words else None


def _ways(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    text = " ".join((*names, words))
    for way, pattern in _WAYS.items():
        if way not in changes.ways and pattern.search(text):
            return msgspec.structs.replace(changes, ways=changes.ways | {way})
    if "'system'" in words and any(name.endswith("role") for name in names):
        return msgspec.structs.replace(changes, ways=changes.ways | {"system_prompt_in_the_first_message"})
    return None


def _max_tokens(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    """Too many are asked for, or they have another name here."""
    found = _MAX.search(words) or _MAX.search(" ".join(names))
    if not found:
        return None
    for match in _TOO_LARGE.finditer(words):
        limit = int(next(group for group in match.groups() if group))
        if _MINIMUM_OUTPUT <= limit < (changes.max_output or 1_000_000):
            return msgspec.structs.replace(changes, max_output=limit)
    instead = _INSTEAD.search(words)
    named = next((name for name in names if name in _OTHER_NAMES), found.group())
    refused = _OTHER_NAMES[instead[1]] if instead else named
    other = _OTHER_NAMES.get(refused)
    if other is None or not _REFUSING.search(words) or changes.renamed is not None:
        return None
    return msgspec.structs.replace(changes, renamed=(refused, other))


def _tools(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    if "tools" in changes.left_out or (_TOOL_FAILED.search(words) and changes.effort is None):
        return None
    if not _TOOLS.search(words) and not ("tools" in names and _REFUSING.search(words)):
        return None
    return msgspec.structs.replace(changes, left_out=changes.left_out | _TOOL_PARAMETERS)


def _stream(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    if changes.stream is not None or "stream_options" in words or "stream_options" in names:
        return None
    if _ONLY_STREAM.search(words):
        return msgspec.structs.replace(changes, stream=True)
    if _NO_STREAM.search(words) or ("stream" in names and _REFUSING.search(words)):
        return msgspec.structs.replace(changes, stream=False)
    return None


RULES: tuple[Rule, ...] = (_reasoning_effort, _ways, _stream, _max_tokens, _tools)


def refuses(name: str, words: str, names: frozenset[str]) -> bool:
    if not _REFUSING.search(words):
        return False
    return name in names or re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", words) is not None

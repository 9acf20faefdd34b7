"""The words in which providers refuse optional parameters, and the change that each asks for."""

import re
from collections.abc import Callable, Iterator
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


_REFUSING_WORDS = (
    r"(?:unsupported|unrecogni[sz]ed|unknown|unexpected|forbidden|invalid(?!_)|deprecated|only the default|disabled"
    r"|extra (?:fields|inputs)|additional propert|no such|no longer|incompatible|cannot be|must be (?:omitted|removed)"
    r"|(?:not|n't) (?:\w+ ){0,2}?(?:support|allow|permit|enabl|availab|recogni|accept|valid|implement|exist|compatib)"
    r"|不支持|不允许|不可用|不存在|无效|非法|未知)"
)
_REFUSING = re.compile(_REFUSING_WORDS)
_TOOLS_PARAMETER = r"(?<![\w.\[])tools(?![\w-]|[.\[]\w)"
_TOOLS = re.compile(
    r"--jinja|--enable-auto-tool-choice|--tool-call-parser"
    rf"|{_REFUSING_WORDS}[^.;]{{0,80}}?{_TOOLS_PARAMETER}|{_TOOLS_PARAMETER}[^.;]{{0,40}}?{_REFUSING_WORDS}"
    r"|(?:tools?|functions?)[ _-]?(?:use|calls?|calling|choice)?\W{0,3}(?:\w+ ){0,4}?(?:not|n't) "
    r"(?:\w+ ){0,2}?(?:support|enabl|availab|allow|implement)"
    r"|(?:not|n't|no) (?:\w+ ){0,2}?(?:support|enabl|availab|allow)\w* (?:\w+ ){0,4}?\W?(?:tool|function[ _-]?call)"
    r"|no (?:\w+ ){1,4}?supports? (?:tool|function)"
    r"|不支持\W{0,2}(?:工具|函数|function|tool)|(?:工具|函数)(?:调用)?(?:功能)?(?:暂)?不支持"
)
_TOOL_PARAMETERS = {"tools", "tool_choice"}
_TOOL_FAILED = re.compile(r"tool_use_failed|failed to call a function|reasoning_effort")
_MAX = re.compile(r"\bmax(?:imum)?[_ ]?(?:completion|output|new)?[_ ]?tokens?\b")
_OTHER_NAMES = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_INSTEAD = re.compile(r"\buse \W?(max_(?:completion_)?tokens)\b")
_MINIMUM_OUTPUT = 16
_NUMBER = r"(\d[\d,]*)"
_AT_MOST = re.compile(
    rf"(?:at most|less than or equal to|<=|between 1 and|no more than|up to|超过|小于等于|不大于) ?\W?{_NUMBER}"
    rf"|\[\d+, ?(\d+)\]|> {_NUMBER}, which is the maximum|maximum (?:\w+ ){{0,5}}?(?:is|of|:) \W?{_NUMBER}"
    rf"|exceed\w* (?:\w+:? ){{0,5}}?\W?{_NUMBER}|最大(?:值|输出)?\W?[为是]?\W?{_NUMBER}"
)
_LESS_THAN = re.compile(rf"(?:less|lower|smaller) than \W?{_NUMBER}|to {_NUMBER} \(exclusive\)")
_NO_STREAM = re.compile(
    r"stream(?:ing)?\W{0,2}(?: \w+){0,4}? (?:not|n't) (?:\w+ )?(?:support|allow|enabl|availab)"
    r"|(?:not|n't) support \W?stream(?:ing)?\b|(?:not|n't) (?:\w+ ){0,2}?tools?(?: use)? (?:in|with|when|while) stream"
    r"|verified to (?:\w+ )?stream"
    rf"|tool[^.]{{0,40}}{_REFUSING_WORDS}[^.]{{0,20}} (?:in|with|when|while|during|for) (?:\w+ )?stream"
    rf"|stream[^.]{{0,40}}{_REFUSING_WORDS}[^.]{{0,20}} (?:with|when|while) (?:\w+ )?tool"
    r"|不支持\W{0,2}(?:流式|stream)"
)
_ONLY_STREAM = re.compile(
    r"only supports? (?:the )?stream|stream ?= ?true|enable the stream|for non-streaming calls"
    r"|(?:only|must|requires?) (?:\w+ ){0,4}?stream(?:ing|ed)?\b|[仅只]支持\W{0,2}(?:流式|stream)"
)
_KEYWORD = r"\b(?:additionalproperties|(?:max|min)(?:length|items)|exclusive(?:max|min)imum|(?:any|one|all)of)\b"
_NOT_KNOWN = r"(?:unknown|unsupported|unrecogni[sz]ed|unexpected|(?:not|n't) (?:\w+ ){0,2}?(?:support|permit|allow))"
_REASONING = r"(?:reasoning[_ ]content|reasoning_details|thinking_blocks|extra_content|provider_specific_fields)"
_NOT_WANTED = rf"(?:{_REFUSING_WORDS}|(?:must|should|can|do) ?not|remove)"
_NO_TEXT = r"(?:valid string|an? string|type string|be (?:null|none|nil)|got (?:null|none)|is (?:a )?required)"
_WAYS = {
    "system_prompt_in_the_first_message": re.compile(
        r"(?:system|developer) (?:role|message|prompt|instruction)s? (?:\w+ ){0,3}?(?:not|n't) "
        r"|(?:not|n't) support (?:\w+ ){0,3}?\W?(?:system|developer)\b|roles must alternate"
        r"|only user(?: and|,) (?:assistant|model)"
    ),
    "reasoning_content_in_every_message": re.compile(
        r"reasoning_content\W{0,2}(?: \w+)* must be (?:passed|provided|included|present)"
        r"|reasoning_content\W{0,2}(?: \w+)? (?:is|are) (?:missing|required)|missing (?:\w+ )?\W?reasoning_content"
    ),
    "thinking_in_every_message": re.compile(r"content\W{0,3}thinking\b.* must be passed"),
    "reasoning_not_sent_back": re.compile(
        r"both content and thinking|"
        rf"{_REASONING}.*{_NOT_WANTED}|{_NOT_WANTED}.*{_REASONING}|messages.*\breasoning\b.*{_REFUSING_WORDS}"
    ),
    "without_marks_for_the_cache": re.compile(rf"cache_control\b.*{_REFUSING_WORDS}|{_REFUSING_WORDS}.*cache_control"),
    "system_prompt_as_text": re.compile(rf"\bsystem\b(?!\W{{0,3}}role).{{0,60}}{_NO_TEXT}|array into .*\.system\b"),
    "content_as_text": re.compile(
        rf"\bcontent\b(?! filter).{{0,80}}{_NO_TEXT}|missing (?:\w+ ){{0,2}}\W?content\b|array into .*\.content\b"
        r"|nonetype|(?:null|none) is not of type|'none' has no attribute|not callable: null"
        r"|null, expected (?:a )?str|expected (?:a )?str\w*, (?:\w+ )?(?:null|none)"
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
    for limit in _limits(words):
        if _MINIMUM_OUTPUT <= limit < (changes.max_output or 1_000_000):
            return msgspec.structs.replace(changes, max_output=limit)
    instead = _INSTEAD.search(words)
    named = next((name for name in names if name in _OTHER_NAMES), found.group())
    refused = _OTHER_NAMES[instead[1]] if instead else named
    other = _OTHER_NAMES.get(refused)
    if other is None or not _REFUSING.search(words) or changes.renamed is not None:
        return None
    return msgspec.structs.replace(changes, renamed=(refused, other))


def _limits(words: str) -> Iterator[int]:
    """What may be the maximum of tokens, the likelier ones first."""
    for pattern, above in ((_AT_MOST, 0), (_LESS_THAN, 1)):
        for found in pattern.finditer(words):
            yield int(next(group for group in found.groups() if group).replace(",", "")) - above


def _tools(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    if "tools" in changes.left_out or (_TOOL_FAILED.search(words) and changes.effort is None):
        return None
    if not _TOOLS.search(words) and not ("tools" in names and _REFUSING.search(words)):
        return None
    return msgspec.structs.replace(changes, left_out=changes.left_out | _TOOL_PARAMETERS)


def _stream(words: str, names: frozenset[str], changes: Changes) -> Changes | None:
    if changes.stream is not None or "stream_options" in words or "stream_options" in names:
        return None
    if _NO_STREAM.search(words):
        return msgspec.structs.replace(changes, stream=False)
    if _ONLY_STREAM.search(words):
        return msgspec.structs.replace(changes, stream=True)
    if "stream" in names and _REFUSING.search(words):
        return msgspec.structs.replace(changes, stream=False)
    return None


RULES: tuple[Rule, ...] = (_reasoning_effort, _ways, _stream, _max_tokens, _tools)


def refuses(name: str, words: str, names: frozenset[str]) -> bool:
    """Whether the parameter is refused, by its name or by what it is called in a sentence: `does not support thinking`
    for `think`."""
    if not _REFUSING.search(words):
        return False
    said = re.escape(name).replace("_", "[_ ]")
    return name in names or re.search(rf"(?<![\w.]){said}(?:s|ing)?(?!\w)", words) is not None

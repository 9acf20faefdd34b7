"""The words in which providers refuse what is optional, as patterns for messages in lower case."""

import re

_UNKNOWN = (
    r"unsupported|unrecogni[sz]ed|unknown|unexpected|forbidden|invalid(?!_)|deprecated|only the default|disabled"
    r"|unavailable|extra (?:fields|inputs)|additional propert|no such|no longer|incompatible|cannot be"
    r"|must be (?:omitted|removed)"
)
_NOT = (
    r"(?:not|n't) (?:\w+ ){0,2}?(?:support|allow|permit|enabl|availab|recogni|accept|valid|implement|exist|compatib"
    r"|capable)"
)
_REFUSING = rf"(?:{_UNKNOWN}|{_NOT}|不支持|不允许|不可用|不存在|无效|非法|未知)"
REFUSING = re.compile(_REFUSING)

_TOOLS = r"(?<![\w.\[])tools(?![a-z0-9_-]|[.\[]\w)"
_TOOL_USE = r"(?:tools?(?:config)?|functions?)[ _-]?(?:use|calls?|calling|choice)?\b"
TOOLS = re.compile(
    r"--jinja|--enable-auto-tool-choice|--tool-call-parser|template that supports tools"
    rf"|{_REFUSING}[^.;]{{0,80}}?{_TOOLS}|{_TOOLS}[^.;]{{0,40}}?{_REFUSING}"
    rf"|{_TOOL_USE}\W{{0,3}}(?:\w+ ){{0,4}}?(?:not|n't) (?:\w+ ){{0,2}}?(?:support|enabl|availab|allow|implement)"
    rf"|{_TOOL_USE}\W{{0,3}}(?:is|are) (?:unsupported|disabled|unavailable|only supported)"
    r"|(?:not|n't|no) (?:\w+ ){0,2}?(?:support|enabl|availab|allow|capable)\w* (?:\w+ ){0,4}?\W?"
    r"(?:tool|function[ _-]?call)|no (?:\w+ ){1,4}?supports? (?:tool|function)"
    r"|(?:no|not have|without|lacks?) (?:tool|function)[ -](?:\w+ )?support"
    r"|不支持\W{0,2}(?:工具|函数|function|tool)|(?:工具|函数)(?:调用)?(?:功能)?(?:暂)?不支持"
)
TOOL_FAILED = re.compile(r"tool_use_failed|failed to call a function|reasoning_effort")
"""The model has failed, or something else is at fault: tools are no use to be left out."""

MAX_TOKENS = re.compile(r"\bmax(?:imum)?[_ ]?(?:number of )?(?:completion|output|new)?[_ ]?tokens?\b")
INSTEAD = re.compile(r"\buse \W?(max_(?:completion_)?tokens)\b")
_NUMBER = r"(\d[\d,]*)"
AT_MOST = re.compile(
    rf"(?:at most|(?:less|lower) than or equal to|<=|between 1 and|no more than|up to) ?\W?{_NUMBER}"
    rf"|(?:超过|小于等于|不大于) ?\W?{_NUMBER}"
    rf"|[\[(]\d+, ?(\d+)\]|\d > {_NUMBER}\b|range 1 ?(?:-|to) ?{_NUMBER}|limit (?:is|of) {_NUMBER}"
    rf"|maximum (?:\w+ ){{0,8}}?(?:is |of |: ?)?\W?{_NUMBER}|exceed\w* (?:\w+:? ){{0,5}}?\W?{_NUMBER}"
    rf"|最大(?:值|输出)?\W?[为是]?\W?{_NUMBER}"
)
LESS_THAN = re.compile(rf"(?:(?:less|lower|smaller) than|<) \W?{_NUMBER}|to {_NUMBER} \(exclusive\)")

_STREAM = r"(?<!non-)(?<!non)\bstream(?:ing|s|ed)?\b(?: ?= ?true)?"
NO_STREAM = re.compile(
    rf"{_STREAM}\W{{0,2}}(?: \w+){{0,4}}? (?:is |are )?{_NOT}"
    rf"|{_STREAM}(?: \w+){{0,2}} (?:disabled|unavailable|unsupported)"
    rf"|{_NOT} {_STREAM}|(?:not|n't) support \W?{_STREAM}|verified to (?:\w+ )?stream"
    rf"|stream\W{{0,2}} must be (?:set to )?false"
    rf"|(?:not|n't) (?:\w+ ){{0,2}}?tools?(?: use)? (?:in|with|when|while) stream"
    rf"|tool[^.]{{0,40}}{_REFUSING}[^.]{{0,20}} (?:in|with|when|while|during|for) (?:\w+ )?stream"
    rf"|{_STREAM}[^.]{{0,40}}{_REFUSING}[^.]{{0,20}} (?:with|when|while) (?:\w+ )?tool"
    r"|不支持\W{0,2}(?:流式|stream)"
)
NO_PLAIN = re.compile(
    rf"non-?stream[^.]{{0,30}}{_REFUSING}|stream\W{{0,2}} (?:must be|is) (?:set to )?(?:true|required)"
)
ONLY_STREAM = re.compile(
    r"only supports? (?:the )?stream|stream ?= ?true|enable the stream|for non-streaming calls"
    r"|(?:only|must|requires?) (?:\w+ ){0,4}?stream(?:ing|ed)?\b|streaming (?:\w+ )?is (?:required|mandatory)"
    r"|[仅只]支持\W{0,2}(?:流式|stream)"
)

_KEYWORD = r"\b(?:additionalproperties|(?:max|min)(?:length|items)|exclusive(?:max|min)imum|(?:any|one|all)of)\b"
_NOT_KNOWN = r"(?:unknown|unsupported|unrecogni[sz]ed|unexpected|(?:not|n't) (?:\w+ ){0,2}?(?:support|permit|allow))"
_REASONING = r"(?:reasoning[_ ]content|reasoning_details|thinking_blocks|extra_content|provider_specific_fields)"
_NOT_WANTED = rf"(?:{_REFUSING}|(?:must|should|can|do) ?not|remove)"
_NO_TEXT = (
    r"(?:valid string|an? string|(?:type|be) string|(?:be|is) (?:null|none|nil)|got (?:null|none)|is (?:a )?required)"
)
WAYS = {
    "system_prompt_in_the_first_message": re.compile(
        r"(?:system|developer) (?:role|message|prompt|instruction)s? (?:\w+ ){0,3}?(?:not|n't) "
        r"|(?:not|n't) support (?:\w+ ){0,3}?\W?(?:system|developer)\b|roles must alternate"
        r"|only user(?: and|,) (?:assistant|model)"
    ),
    "reasoning_content_in_every_message": re.compile(
        r"reasoning_content\W{0,2}(?: \w+)* (?:must|should) be (?:passed|provided|included|present)"
        r"|must (?:include|have|contain) (?:\w+ )?\W?reasoning_content"
        r"|reasoning_content\W{0,2}(?: \w+)? (?:is|are) (?:missing|required)|missing (?:\w+ )?\W?reasoning_content"
    ),
    "thinking_in_every_message": re.compile(r"content\W{0,3}thinking\b.* must be passed"),
    "reasoning_not_sent_back": re.compile(
        r"both content and thinking|"
        rf"{_REASONING}.{{0,200}}{_NOT_WANTED}|{_NOT_WANTED}.{{0,200}}{_REASONING}|messages.{{0,200}}\breasoning\b.{{0,200}}{_REFUSING}"
    ),
    "without_marks_for_the_cache": re.compile(
        rf"cache_control\b.{{0,200}}{_REFUSING}|{_REFUSING}.{{0,200}}cache_control"
    ),
    "system_prompt_as_text": re.compile(rf"\bsystem\b(?!\W{{0,3}}role).{{0,60}}{_NO_TEXT}|array into .*\.system\b"),
    "content_never_empty": re.compile(r"\bcontent\b.{0,60}(?:empty|blank|at least 1)|empty (?:\w+ ){0,2}content\b"),
    "content_as_text": re.compile(
        rf"\bcontent\b(?! filter).{{0,80}}{_NO_TEXT}|(?:missing|required):? (?:\w+:? ){{0,2}}\W?content\b"
        r"|array into .*\.content\b"
        r"|nonetype|(?:null|none) is not of type|'none' has no attribute|not callable: null"
        r"|null value for content|null, expected (?:a )?str|expected (?:a )?str\w*, (?:\w+ )?(?:null|none)"
    ),
    "schemas_of_few_words": re.compile(rf"{_KEYWORD}.{{0,200}}{_NOT_KNOWN}|{_NOT_KNOWN}.{{0,200}}{_KEYWORD}"),
    "signature_in_every_call": re.compile(r"missing (?:a )?\W?thought_signature"),
    "ids_of_nine_characters": re.compile(r"a-z, a-z, 0-9, with a length of 9"),
    "tool_calls_as_text": re.compile(
        r"must define tools|expects the \W?tools=|toolconfig field must be defined|tool_calls? (?:\w+ )?without tools"
    ),
}
"""By the way to write messages that each asks for."""

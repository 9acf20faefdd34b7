"""What kind of refusal a provider's words mean: they agree on neither statuses nor codes.

The patterns are kept as narrow as the messages that they were taken from allow.
"""

import re
from collections.abc import Mapping


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


_RATES = (
    r"tokens? per (?:min|hour|day|sec)",
    r"per[- ]minute",
    r"\b[rt]p[md]\b",
    r"rate[-_ ]?limit(?!s? of the model)",
    r"too many requests",
    r"throttl",
    r"resource_exhausted",
    r"too many tokens\W{1,3}please wait",
    r"请求(?:过于频繁|过多|频率)|速率限制|限流",
)
_RATE_LIMITED = _any(*_RATES)
_PER_TIME = _any(*_RATES, r"(?:wait|slow down).{0,30}(?:try|retry)")

_TOO_LONG = _any(
    # identifiers
    r"context_length_exceeded|exceed_context_size|model_max_prompt_tokens_exceeded|tokens_limit_reached",
    r"request_too_large|string_above_max_length|context_window_exceeded|ContextWindowExceeded|prompt_too_long",
    # a window, by its names
    r"context[ _](?:length|window|size|limit)",
    r"max(?:imum)?[ _](?:model|prompt|input|sequence|seq)[ _]len(?:gth)?",
    r"max(?:imum)? (?:total )?(?:input|prompt) (?:token|length|size)",
    r"model token limit|token limit exceeded|exceeds? the (?:token )?limit of \d+",
    # the prompt or its tokens, and that they are too many
    r"(?:prompt|input|messages?|request|conversation|context|contents?)\W+(?:\w+\W+){0,3}too (?:long|large|big)",
    r"(?:prompt|input) ?tokens? .{0,40}(?:exceed|larger|greater|longer|more than|cannot)",
    r"(?:input|prompt)(?: \w+){0,2} ?(?:\([^)]{1,40}\) )?(?:exceed\w*|(?:is )?(?:longer|larger|greater) than)",
    r"input token count|too many (?:input |prompt )?tokens|tokens in request more than",
    r"number of (?:input |prompt )?tokens .{0,40}(?:exceed|cannot|greater)",
    r"tokens?`? \+ `?max_(?:new_)?tokens|must have less than \d+ tokens",
    r"reduce (?:the|your) (?:length of the )?(?:messages?|prompt|input)",
    r"(?:input|prompt) length .{0,40}(?:exceed|should be \[)",
    r"range of input length",
    r"tokens to keep from the initial prompt",
    r"exceeds? max length|超长|超出.{0,12}(?:长度|上下文)",
    r"request (?:payload|body|entity)(?: size)?(?: is)? (?:too large|exceeds)",
    r"request exceeds the maximum (?:allowed )?(?:size|number of bytes)",
)

_OUTPUT_ONLY = _any(
    r"maximum allowed number of output tokens|model'?s maximum output tokens|maximum output (?:tokens )?(?:for|of)",
    r"maximum tokens you requested|maxoutputtokens value",
)

_QUOTA_CODES = _any(
    r"insufficient_quota|billing_hard_limit|billing_not_active|billing_error|insufficient_balance|quota_exceeded_error",
    r"exceeded_current_quota|account_deactivated|organization_on_hold|spend_?limit|arrearage|access_terminated",
)

_QUOTA = _any(
    r"exceeded your current quota",
    r"insufficient (?:account )?(?:balance|credits?|funds|quota)",
    r"(?:balance|credits?)(?: \w+){0,2} (?:insufficient|exhausted|too low)|credit insufficient",
    r"out of (?:extra )?(?:usage|credits?)|(?:more|not enough|no) credits|add credits",
    r"(?:spend(?:ing)?|billing|usage) (?:hard )?limits?\W+(?:\w+\W+){0,4}(?:reached|exceeded)",
    r"(?:reached|exceeded) (?:\w+ ){0,4}(?:spend(?:ing)?|billing|api usage) limit|monthly included credits",
    r"please recharge|recharge your|payment required|good standing|余额不足|欠费|充值",
)

_FILTERED = _any(
    r"content[-_ ]?filter|content[-_ ]?policy|content management policy|content filtering policy|responsibleaipolicy",
    r"policy_violation|data_?inspection_?failed|inappropriate content|content exists risk|considered high risk",
    r"sensitive ?content|new_sensitive|sensitive_words|敏感内容|不安全",
    r"safety[_ ](?:check|system|filter|violation)|violat\w+ (?:\w+ ){0,4}(?:usage|content|safety) (?:guidelines|polic)",
    r"(?:input|prompt|content)(?: \w+){0,2} (?:was|were|has been) (?:flagged|blocked|moderated)|flagged (?:as|for|by)",
    r"moderation[_ ](?:blocked|failed|error)|guardrail (?:intervened|blocked)",
)

_NO_KEY = _any(
    r"api_key_invalid|invalid_api_key|authentication_error|(?:incorrect|invalid) api[ _]key|api key not valid"
    r"|login fail"
)
_NO_MODEL = _any(r"model_not_found|invalid_model|deploymentnotfound|model_decommissioned|model_not_exist")


def is_per_time(words: str) -> bool:
    """Whether it is about how much may be asked in a time."""
    return _PER_TIME.search(words) is not None


def is_rate_limited(status: int, words: str) -> bool:
    """Whether too much was asked in too short a time. Some tell so with the status of another error, or with none."""
    return status == 429 or (status in (400, 403, 413, 500) and _RATE_LIMITED.search(words) is not None)


def is_too_long(words: str) -> bool:
    """Whether the prompt does not fit."""
    return _TOO_LONG.search(words) is not None and not _OUTPUT_ONLY.search(words) and not is_per_time(words)


def is_quota(words: str) -> bool:
    """Whether nothing is left to pay with. Google says of its limits a minute that the quota is exceeded, too; LiteLLM
    calls all of it a RateLimitError."""
    return _QUOTA_CODES.search(words) is not None or (_QUOTA.search(words) is not None and not is_per_time(words))


def is_filtered(words: str) -> bool:
    """Whether the provider's rules for content refuse what was said."""
    return _FILTERED.search(words) is not None


def reason_of(status: int, words: str) -> str:
    """The reason, as of ModelUnavailable, for a status that says no more than itself."""
    if 400 <= status <= 500 and _NO_KEY.search(words):
        return "auth"
    if 400 <= status < 500 and _NO_MODEL.search(words):
        return "not_found"
    return _REASONS.get(status, "server_error" if status >= 500 else "bad_request")


_REASONS: Mapping[int, str] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    407: "auth",
    408: "timeout",
    409: "server_error",
    410: "not_found",
    425: "overloaded",
    498: "overloaded",  # Groq's for its flexible tier
    499: "server_error",
    503: "overloaded",
    504: "timeout",
    522: "timeout",
    524: "timeout",
    529: "shared_overload",
}

STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "too_many_requests": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    "invalid_argument": 400,
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "resource_exhausted": 429,
    "throttlingexception": 429,
    "unavailable": 503,
    "deadline_exceeded": 504,
}
"""By an error's type: one that comes in a stream has no status.

https://platform.claude.com/docs/en/api/errors, https://cloud.google.com/apis/design/errors
"""

"""Takes secrets out of text that others have written, before it reaches a log line or a span."""

import re
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from pydantic import SecretStr

from app.errors import GuardUnavailable
from app.redaction.redactor import Redactor
from app.settings import Settings
from app.telemetry.otlp import header_values

GONE = "…"
_SHORTEST = 8
"""Below it, a configured secret is a word such as `ollama` that servers without keys are given."""

known_secrets: set[str] = set()
_redactors: list[Redactor] = []  # the process's, if it has one


def redact_with(redactor: Redactor | None) -> None:
    """Have all text that reaches logs and spans go through this redactor from now on."""
    _redactors[:] = [] if redactor is None else [redactor]


def redactor_of_process() -> Redactor | None:
    return _redactors[0] if _redactors else None


_PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), GONE),
    (re.compile(r"(?<=://)[^\s/@]*:[^\s@]*@"), GONE + "@"),  # the user and password of a URL
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=*-]{6,}"), rf"\1 {GONE}"),
    (
        re.compile(  # a value by its name, in a query, in JSON or in words
            r"""(?ix) ( (?<![a-z]) (?:x-)? (?:api[-_\ ]?key | (?:access|auth|refresh|id|security|session)[-_]?token
            | token | secret(?:[-_]?(?:access)?[-_]?key)? | client[-_]?secret | pass(?:word|wd) | authorization
            | credential | signature | sig) (?: \ (?:provided|is))? ["']? \s* [:=] \s* ["']? )
            (?!\s*["']?…) [^\s"',;&}]{3,}"""
        ),
        rf"\1{GONE}",
    ),
    (
        re.compile(  # keys as their makers mark them
            r"\b(?:(?:sk|rk|pk|xai|nvapi|pplx|glpat|csk|xox[a-z])-|(?:agentapi|gsk|hf|r8|fw|tgp|gh[a-z]|github_pat|sk|rk|pk)_"
            r"|A[KS]IA|AIza|ya29\.|eyJ)[\w.*~+/=-]{8,}"
        ),
        GONE,
    ),
)
_LONG = re.compile(r"[\w+/=-]{20,}")
_SWITCHES = re.compile(r"(?<=[A-Za-z])(?=[0-9])|(?<=[0-9])(?=[A-Za-z])")
_WHOLE = re.compile(r"[A-Za-z0-9+/=]{24,}")
_RANDOM_SWITCHES = 5


def keep_secrets_of(settings: Settings) -> None:
    """Take the values of this process's secrets out of all text from now on."""
    for value in _secrets(settings):
        keep_secret(value)


def keep_secret(value: str) -> None:
    """Take this value out of all text from now on."""
    if len(value := value.strip()) >= _SHORTEST:
        known_secrets.update((value, quote(value, safe="")))


def _secrets(settings: Settings) -> Iterator[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, str) and "://" in value:
            yield _password(value)
    yield from header_values()


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""


def without_secrets(text: str) -> str:
    """The text without configured secrets, and without what looks like somebody's key, token or password."""
    for secret in sorted(known_secrets, key=len, reverse=True):
        text = text.replace(secret, GONE)
    for redactor in _redactors:
        try:
            text = redactor.text(text)
        except GuardUnavailable:
            return GONE
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return _LONG.sub(_unless_random, text)


def holds_secret(text: str) -> bool:
    """Whether a text has a configured secret, or what its maker marks as a key."""
    return any(secret in text for secret in known_secrets) or any(pattern.search(text) for pattern, _ in _PATTERNS)


def without_credentials(text: str) -> str:
    """The text as it is unless it may hold an API key or a token of the service's own callers, who put them into paths
    and queries by mistake. Costs next to nothing."""
    return without_secrets(text) if may_hold_credentials(text) else text


def may_hold_credentials(text: str) -> bool:
    return "agentapi_" in text or "eyJ" in text


def _unless_random(found: re.Match[str]) -> str:
    """Names of models have digits, too, but few of them between letters."""
    word = found[0]
    switches = len(_SWITCHES.findall(word)) >= _RANDOM_SWITCHES
    return GONE if (switches and _mixed(word)) or any(map(_mixed, _WHOLE.findall(word))) else word


def _mixed(word: str) -> bool:
    """Whether there are letters and digits; in what may be a path, letters of both cases."""
    path = "/" in word and (word.islower() or word.isupper())
    return not path and any(map(str.isdigit, word)) and any(map(str.isalpha, word))

"""What follows from a failed model call: one table, as data. docs/models.md shows it as `markdown()` writes it."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from app.errors import AppError, ModelError, ModelRateLimited

NextModel = Literal["no", "yes", "larger_window"]
Pays = Literal["nobody", "caller", "uncertain"]


class Rule(Struct, frozen=True):
    """What follows from one class of failures."""

    what: str
    """How it shows, for people."""
    retry: bool = False
    """Whether the same model is called again, if nothing of its answer has gone out."""
    next_model: NextModel = "yes"
    breaker: bool = False
    """Whether it counts as bad for the model's breaker."""
    rest: bool = False
    """Whether the model is left alone for the Retry-After, or after a 429 without one for a backoff."""
    pays: Pays = "nobody"
    """`caller`: what the provider counted; `uncertain`: an estimate, since it may have been billed."""
    alert: bool = False
    """Whether it lasts until the operator acts."""


def _again(what: str, pays: Pays = "nobody") -> Rule:
    """It may well be over at the next try."""
    return Rule(what, retry=True, breaker=True, pays=pays)


def _too_slow(what: str) -> Rule:
    """It has taken its time, and may have been billed: the next model has a better chance."""
    return Rule(what, breaker=True, pays="uncertain")


def _misconfigured(what: str) -> Rule:
    """Every call of the model fails like this until the operator acts."""
    return Rule(what, breaker=True, alert=True)


TABLE: Mapping[str, Rule] = {
    "unreachable": _again("connection refused, no route, proxy away"),
    "dns": _again("the server's name is not resolved"),
    "connect_timeout": _again("no connection within CONNECT_TIMEOUT_SECONDS"),
    "tls": _again("TLS handshake failed"),
    "certificate": _misconfigured("certificate not accepted"),
    "disconnected": _again("connection closed or reset before the answer, or in its headers", "uncertain"),
    "cut_stream": _again("answer cut before its end", "uncertain"),
    "silent": _too_slow("stream: no content within FIRST_CONTENT_TIMEOUT_SECONDS"),
    "stalled": _too_slow("stream: silence within the content, CONTENT_GAP_TIMEOUT_SECONDS long"),
    "timeout": _too_slow("plain call not answered in time; HTTP 408, 504, 522, 524"),
    "broken_answer": _again("broken JSON, no HTTP, an endless line", "uncertain"),
    "empty_answer": Rule("`stop` and nothing said, again after the run has asked the model once more", pays="caller"),
    "wrong_content_type": Rule("HTTP 200 with what is no JSON and no event stream, as a page of HTML", breaker=True),
    "rate_limited": Rule(
        "HTTP 429: retried after its Retry-After, or after a backoff where it has none", True, rest=True
    ),
    "quota": _misconfigured("`insufficient_quota`, HTTP 402: the account is used up"),
    "server_error": _again("HTTP 500, 502 and other 5xx; an error within the answer"),
    "overloaded": Rule("HTTP 503: this server is overloaded", retry=True, breaker=True, rest=True),
    "shared_overload": Rule("HTTP 529: the provider is overloaded for all its customers", breaker=True, rest=True),
    "bad_request": Rule("HTTP 400 and other 4xx", alert=True),
    "auth": _misconfigured("HTTP 401, 403"),
    "not_found": _misconfigured("HTTP 404: no such model"),
    "context_too_long": Rule("the conversation does not fit the context window", next_model="larger_window"),
    "content_filtered": Rule("the provider's content rules refuse the conversation"),
    "refusal": Rule("an answer that ends with `refusal` or `content_filter`", pays="caller"),
    "breaker_open": Rule("this service's breaker keeps calls from the model"),
    "resting": Rule("the provider's limit is known to be reached"),
    "busy": Rule("MAX_CONCURRENT_CALLS are open and MAX_QUEUED_CALLS wait, or waited too long"),
    "deadline_exceeded": Rule("the run's own deadline passed", next_model="no", pays="uncertain"),
    "cancelled": Rule("the caller left", next_model="no", pays="uncertain"),
    "error": Rule("a defect of this service", next_model="no"),
}


def class_of(error: BaseException) -> str:
    """The error's class: a key of TABLE, and the `outcome` of its call in the metrics and the log."""
    match error:
        case ModelRateLimited():  # reasons of providers in other packages may be their own
            word = error.reason if error.reason in TABLE else "rate_limited"
        case ModelError():
            word = error.reason if error.reason in TABLE else "server_error"
        case AppError():
            word = error.slug.replace("-", "_")
        case Exception():
            word = "error"
        case _:
            word = "cancelled"
    return word if word in TABLE else "error"


def rule_of(error: BaseException) -> Rule:
    """What follows from the error."""
    return TABLE[class_of(error)]


GATES = ("breaker_open", "busy", "resting")
"""The classes of calls that this service did not make."""

ATTEMPTED = tuple(word for word in TABLE if word not in GATES)
"""The classes that an attempt of a call can end with."""

RETRIED = tuple(word for word, rule in TABLE.items() if rule.retry)
"""The classes after which the same model is called again."""


def markdown() -> str:
    """The table for the docs."""
    head = "| Class | What happens | Retried | Next model | Breaker | Rests | Paid | Alert |"
    return "\n".join([head, "|---" * 8 + "|", *(_row(word, rule) for word, rule in TABLE.items())]) + "\n"


def _row(word: str, rule: Rule) -> str:
    cells = [
        f"`{word}`",
        rule.what,
        _said(rule.retry),
        _NEXT[rule.next_model],
        _said(rule.breaker),
        _said(rule.rest),
        _PAID[rule.pays],
        _said(rule.alert),
    ]
    return f"| {' | '.join(cells)} |"


def _said(flag: bool) -> str:
    return "yes" if flag else "no"


_NEXT: Mapping[NextModel, str] = {"no": "no", "yes": "yes", "larger_window": "with a larger window"}
_PAID: Mapping[Pays, str] = {
    "nobody": "nothing",
    "caller": "as the provider counts",
    "uncertain": "an estimate, `uncertain`",
}

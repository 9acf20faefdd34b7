"""Failures by their names. A model called so, or so with anything after a `~`, fails so; any other answers."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from email.utils import formatdate
from time import time

from tests.resilience.acts import Act, Call, answer, broken_off, ended_by, error, in_arguments, in_reasoning, silent

Doing = Callable[[Call], Act]
WAIT_SECONDS = 1
"""A Retry-After that is short enough to be waited for."""

_HTML = {"Content-Type": "text/html"}


def _date() -> str:
    """That long from now, and what is lost by whole seconds."""
    return formatdate(time() + WAIT_SECONDS + 1, usegmt=True)


def always(act: Act) -> Doing:
    return lambda _: act


FAILURES: Mapping[str, Doing] = {
    "reset-before-headers": always(Act(head="none", ending="reset")),
    "closed-before-headers": always(Act(head="none", ending="cut")),
    "reset-in-headers": always(Act(head="half", ending="reset")),
    "not-http": always(Act([(b"\x15\x03\x01\x00\x02\x02\x50", 0)], head="none", ending="cut")),
    "cut": broken_off,
    "cut-by-reset": lambda call: broken_off(call, "reset"),
    "cut-before-text": lambda call: broken_off(call, texts=0),
    "cut-in-arguments": in_arguments,
    "cut-in-reasoning": in_reasoning,
    "silent-at-once": always(Act(head="none", ending="silent")),
    "silent-before-content": silent,
    "silent-within": lambda call: broken_off(call, "silent"),
    "broken-json": lambda call: Act([(b'data: {"choices":[{\n\n' if call.stream else b'{"choices":[{', 0)]),
    "html": always(Act([(b"<html><body>Welcome</body></html>", 0)], headers=_HTML)),
    "429": always(error(429, "rate_limit_exceeded")),
    "429-seconds": always(error(429, "rate_limit_exceeded", Retry_After=str(WAIT_SECONDS))),
    "429-date": lambda _: error(
        429, "rate_limit_exceeded", Retry_After=formatdate(time() + 1 + WAIT_SECONDS, usegmt=True)
    ),
    "429-zero": always(error(429, "rate_limit_exceeded", Retry_After="0")),
    "429-hour": always(error(429, "rate_limit_exceeded", Retry_After="3600")),
    "insufficient-quota": always(error(429, "insufficient_quota", "You exceeded your current quota")),
    "500": always(error(500)),
    "502": always(Act([(b"<html>bad gateway</html>", 0)], 502, _HTML)),
    "503": always(error(503)),
    "503-seconds": always(error(503, Retry_After=str(WAIT_SECONDS))),
    "504": always(error(504)),
    "529": always(error(529, "overloaded_error")),
    "400": always(error(400, "invalid_request_error")),
    "401": always(error(401, "invalid_api_key")),
    "403": always(error(403, "permission_denied")),
    "404": always(error(404, "model_not_found")),
    "context-too-long": always(error(400, "context_length_exceeded", "maximum context length is 8192 tokens")),
    "content-filter": lambda call: ended_by(call, "content_filter"),
    "refusal": lambda call: ended_by(call, "refusal"),
    "filtered-prompt": always(error(400, "content_filter", "The prompt was filtered")),
    "empty": lambda call: answer(call, ()),
    "slow": lambda call: replace(answer(call), wait=60),
}


def failing_like(name: str) -> Doing:
    return FAILURES.get(name.partition("~")[0], answer)

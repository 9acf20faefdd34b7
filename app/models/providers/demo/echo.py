"""Takes out of a provider's words what they repeat of the conversation: users' text does not reach the log."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from app.errors import ModelError
from app.telemetry.scrubbing import GONE

_SHORTEST = 4
_MAX_CONTENT_CHARS = 1_000_000
_SAID_IN = ("messages", "system", "prompt", "input")
_NO_TEXT = frozenset({"role", "type", "id", "name", "tool_call_id", "tool_use_id", "tool_name"})
_QUOTED = re.compile(r"""(?<!\w)(["'`])(?=[^"'`]{40})[^"'`]*\1|[“«][^”»]{40,}[”»]""")
_BLOBS = re.compile(r"\{[^{}]*[\s:][^{}]*\}|input_value=.*?(?=, input_type)|(?<=at pos )\d+:.*", re.DOTALL)
_WORD = re.compile(r"\w(?:[\w@.+-]*\w)?")
_REPEATED_GAPS = re.compile(rf"{GONE}(?:\W{{0,3}}{GONE})+")

_ERROR_WORDS = """
about above access account allowed allows already also argument arguments array available because been before below
between body boolean call calls cannot chat check choice client code completion completions content context could
credentials deprecated disabled does empty enable enabled error exceed exceeded exceeds expected extra failed field
fields first float format found from function functions further given greater have header input inputs instead integer
internal invalid json key large least length less limit list long longer maximum message messages minimum missing
model models more most must name none not null number object only option optional order other output outputs parameter
parameters parse part permitted please plan prompt property provide provided provider quota range rate reached read
reasoning reduce rejected request requested requests required requires resource response role schema server service
should size some stop stream string support supported supports system temperature text than that their then there this
token tokens tool tools type unexpected unknown unsupported upstream usage user using valid validation value values
version when which will with without within would your
"""
_EXPECTED = frozenset(_ERROR_WORDS.split())
"""Words of errors, which say nothing about who wrote them first."""


def without_echo(error: ModelError, sent: bytes) -> None:
    """Take out of the error's cause what the request that was `sent` says, quotations and pieces of JSON."""
    body = _decoded(sent)
    content = "\n".join(text for name in _SAID_IN for text in _texts(body.get(name)))[:_MAX_CONTENT_CHARS].lower()

    def kept(found: re.Match[str]) -> str:
        word = found[0].lower()
        telling = len(word) >= _SHORTEST or not word.isascii() or (len(word) >= 3 and not word.isalpha())
        echo = telling and word not in _EXPECTED and word not in body and word in content
        return GONE if echo else found[0]

    cause = _BLOBS.sub(GONE, _QUOTED.sub(GONE, error.cause))
    error.cause = _REPEATED_GAPS.sub(GONE, _WORD.sub(kept, cause))


def _decoded(sent: bytes) -> Mapping[str, Any]:
    try:
        body = msgspec.json.decode(sent)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return body if isinstance(body, dict) else {}


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from _texts(item)
        case dict():
            for name, item in value.items():
                if name not in _NO_TEXT:
                    yield from _texts(item)

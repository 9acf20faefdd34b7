"""Other ways to write the messages of a request, for servers that refuse the usual one."""

from collections.abc import Collection, Iterator
from hashlib import sha256
from typing import Any

from app.models.providers.tool_calls import new_id

Messages = list[dict[str, Any]]

_NO_SIGNATURE = {"google": {"thought_signature": "skip_thought_signature_validator"}}
"""Google's word for calls that another model has made: https://ai.google.dev/gemini-api/docs/thought-signatures"""

_BLANK = " "
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def rewritten(messages: Messages, ways: Collection[str], *, with_tools: bool, told_of_tools: bool) -> Messages:
    """The messages in these ways. A server that takes no tools is not told of calls before this one either."""
    if not with_tools and (told_of_tools or "tool_calls_as_text" in ways):
        messages = list(_as_text(messages))
    if "system_prompt_in_the_first_message" in ways:
        messages = list(_alternating(messages))
    for message in messages:
        if "content_as_text" in ways:
            message["content"] = _text_of(message["content"])
        if "content_never_empty" in ways:
            message["content"] = message["content"] or _BLANK
        if message["role"] == "assistant":
            _complete(message, ways)
    if "ids_of_nine_characters" in ways:
        _shorten_ids(messages)
    return messages


def _text_of(content: Any) -> str:
    """The text of a content that may be none, or a list of parts."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    return content or ""


def _complete(message: dict[str, Any], ways: Collection[str]) -> None:
    """Add what a server wants in each message, or each call, of the assistant. Where a call was made, Kimi takes no
    reasoning that is empty."""
    calls = message.get("tool_calls")
    if "reasoning_content_in_every_message" in ways:
        message.setdefault("reasoning_content", _BLANK if calls else "")
    if calls and "signature_in_every_call" in ways:
        calls[0].setdefault("extra_content", _NO_SIGNATURE)


def _as_text(messages: Messages) -> Iterator[dict[str, Any]]:
    names: dict[str, str] = {}
    for message in messages:
        if calls := message.get("tool_calls"):
            said = [message["content"]] if isinstance(message["content"], str) else []
            for call in calls:
                function = call["function"]
                names[call["id"]] = function["name"]
                said.append(f"[called {function['name']} with {function['arguments']}]")
            yield {"role": "assistant", "content": "\n".join(said)}
        elif message["role"] == "tool":
            name = names.get(message["tool_call_id"], "the tool")
            yield {"role": "user", "content": f"[{name} returned: {message['content']}]"}
        else:
            yield message


def _alternating(messages: Messages) -> Iterator[dict[str, Any]]:
    """Without a system message, and with no two messages of one role after another, results of tools excepted."""
    last: dict[str, Any] | None = None
    for message in messages:
        role = "user" if message["role"] == "system" else message["role"]
        plain = isinstance(message["content"], str) and not message.get("tool_calls")
        if last and role == last["role"] == "user" and plain:
            last["content"] += "\n\n" + message["content"]
            continue
        if last:
            yield last
        last = {**message, "role": role}
    if last:
        yield last


def _shorten_ids(messages: Messages) -> None:
    for message in messages:
        for call in message.get("tool_calls") or ():
            call["id"] = _short(call["id"])
        if "tool_call_id" in message:
            message["tool_call_id"] = _short(message["tool_call_id"])


def _short(call_id: str) -> str:
    """Nine letters and digits, as Mistral's ids have; one that has them is kept."""
    if len(call_id) == 9 and call_id.isascii() and call_id.isalnum():
        return call_id
    number = int.from_bytes(sha256((call_id or new_id()).encode()).digest()[:8], "big")
    return "".join(_ALPHABET[number // 62**place % 62] for place in range(9))

"""Answers whose JSON has other types than the API: read for what they have, as the official clients do."""

import json
from typing import Any

from app.models.providers.openai.wire import Call, ChatCompletion, Choice, Delta, Details, Function, OfGroq, TokenUsage

_FIELDS_OF_USAGE = [name for name in TokenUsage.__struct_fields__ if not name.endswith("_details")]


def decode_leniently(data: bytes) -> ChatCompletion:
    """Raises ValueError for what is no JSON object, or has choices that are none."""
    said = json.loads(data.decode())
    if isinstance(said, list) and len(said) == 1:  # Google's errors
        said = said[0]
    if not isinstance(said, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004
    choices = said.get("choices")
    if choices is not None and not isinstance(choices, list):
        raise ValueError("choices that are no list")
    return ChatCompletion(
        [_choice(choice) for choice in choices or () if isinstance(choice, dict)],
        _usage(said.get("usage")),
        said.get("error"),
        OfGroq(_usage(groq.get("usage"))) if isinstance(groq := said.get("x_groq"), dict) else None,
        said.get("base_resp"),
    )


def _choice(choice: dict[str, Any]) -> Choice:
    reason = choice.get("finish_reason")
    return Choice(
        _delta(choice.get("delta")),
        _delta(choice.get("message")),
        reason if isinstance(reason, str) else None,
        choice.get("error"),
        _usage(choice.get("usage")),
        _text(choice.get("text")),
    )


def _delta(delta: Any) -> Delta | None:
    if not isinstance(delta, dict):
        return None
    content, thinking = _content(delta.get("content"))
    calls = delta.get("tool_calls")
    if isinstance(calls, dict):
        calls = [calls]
    legacy = delta.get("function_call")
    reasoning = delta.get("reasoning")
    return Delta(
        content,
        _text(delta.get("refusal")),
        [_call(call) for call in calls if isinstance(call, dict)] if isinstance(calls, list) else None,
        _function(legacy) if isinstance(legacy, dict) else None,
        _text(delta.get("reasoning_content")),
        _text(reasoning.get("content") or reasoning.get("text") if isinstance(reasoning, dict) else reasoning),
        _dicts(delta.get("reasoning_details")),
        _dicts(delta.get("thinking_blocks")),
        _dict(delta.get("extra_content")),
        thinking or None,
    )


def _content(content: Any) -> tuple[str, str]:
    """Text and reasoning of a list of parts, of one part, or of a text."""
    if not isinstance(content, list | dict):
        return _text(content) or "", ""
    text = thinking = ""
    for part in content if isinstance(content, list) else [content]:
        match part:
            case {"thinking": inner} | {"type": "reasoning" | "thinking", "text": inner}:
                thinking += _content(inner)[0]
            case {"text": inner} | {"refusal": inner}:
                text += _content(inner)[0]
            case str():
                text += _text(part) or ""
    return text, thinking


def _call(call: dict[str, Any]) -> Call:
    index = call.get("index")
    function = call.get("function")
    if isinstance(function, str):
        call = {"name": function, **call}
    return Call(
        _count(index),
        _text(call.get("id")),
        _function(function if isinstance(function, dict) else call),
        _dict(call.get("extra_content")),
        _dict(call.get("provider_specific_fields")),
    )


def _function(function: dict[str, Any]) -> Function:
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):
        arguments = json.dumps(arguments)
    return Function(_text(function.get("name")), _text(arguments))


def _usage(usage: Any) -> TokenUsage | None:
    if not isinstance(usage, dict):
        return None
    counts = {name: _count(usage.get(name)) for name in _FIELDS_OF_USAGE}
    for name in ("prompt_tokens_details", "completion_tokens_details"):
        details = usage.get(name)
        if isinstance(details, dict):
            counts[name] = Details(*(_count(details.get(field)) for field in Details.__struct_fields__))  # type: ignore[assignment]
    return TokenUsage(**counts)  # type: ignore[arg-type]


def _count(value: Any) -> int | None:
    try:
        return max(0, int(float(value)))
    except (TypeError, ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    """With halves of surrogate pairs, which JSON can have and no other text, joined or replaced."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _dict(value: Any) -> dict[str, Any] | None:
    return value if isinstance(value, dict) else None


def _dicts(value: Any) -> list[dict[str, Any]] | None:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else None

"""How an answer of the chat completions API ends: as an answer, or as a failure that is told like one."""

import json
from functools import lru_cache
from typing import Any

from app.errors import AppError
from app.models.protocol import StopReason
from app.models.providers.causes import is_known
from app.models.providers.failures import from_answer, unavailable
from app.models.providers.refusals import Said

_STOP_REASONS: dict[str, StopReason] = {
    "length": "max_tokens",
    "token_limit": "max_tokens",
    "max_new_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "model_length": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "spii": "content_filter",
    "refusal": "refusal",
}
"""By Mistral, Zhipu, Gemini and gateways, beside OpenAI's. All that is not here is an answer's normal end."""

_FAILURES = {
    "error": "server_error",  # and whatever ends in it
    "abort": "server_error",
    "aborted": "server_error",
    "cancelled": "server_error",
    "canceled": "server_error",
    "failed": "server_error",
    "malformed_function_call": "server_error",
    "function_call_filter": "server_error",
    "insufficient_system_resource": "overloaded",
    "overloaded": "overloaded",
    "timeout": "timeout",
}
"""By vLLM, SGLang, OpenRouter, DeepSeek, Zhipu and Gemini: what was said until then is no answer."""


def stop_reason_of(finish_reason: str | None, *, calls: bool, refused: bool) -> StopReason:
    reason = None if finish_reason == "stop" else _STOP_REASONS.get(_word(finish_reason))
    if refused and reason in (None, "content_filter"):
        return "refusal"
    return reason or ("tool_calls" if calls else "stop")


def failure_of_finish(finish_reason: str) -> AppError | None:
    word = _word(finish_reason)
    reason = _FAILURES.get(word) or ("server_error" if word.endswith("_error") else None)
    told = word if is_known(word) else "unknown"
    return unavailable(reason, f"finish_reason {told}", words=finish_reason) if reason else None


def failure_in(body: bytes) -> AppError:
    """The failure that is told in an answer of status 200, or in an event of one."""
    failure = from_answer(body)
    failure.__cause__ = Said(200, body)
    return failure


def failure_of_choice(error: Any) -> AppError:
    """The failure that a choice has instead of its end."""
    return failure_in(json.dumps({"error": error}).encode())


def says_something(error: Any) -> bool:
    """Whether an `error` is one: some servers send an empty one with each answer."""
    return any(error.values()) if isinstance(error, dict) else bool(error)


def failure_without_choices(data: bytes) -> AppError | None:
    """The failure in what has neither choices nor usage nor an `error`: some have a message where an error would be.
    None if there is none, as in pings."""
    try:
        said = json.loads(data)
    except ValueError:
        return None
    match said:
        case (
            {"object": "error"}
            | {"type": "error"}
            | {"message": str() | dict()}
            | {"detail": str() | list()}
            | {"code": str() | int(), "msg": str()}
        ):
            return failure_in(data)
        case {"base_resp": {"status_code": int(code)}} if code:  # MiniMax's
            return failure_in(data)
        case _:
            return None


@lru_cache(256)
def _word(finish_reason: str | None) -> str:
    """In lower case; Gemini appends a reason of its own, as in `content_filter: RECITATION`."""
    return (finish_reason or "").partition(":")[0].strip().lower()

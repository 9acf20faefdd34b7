"""The answers of the OpenAI chat completions API in JSON, as OpenAI, vLLM and other servers write them.

https://platform.openai.com/docs/api-reference/chat
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct


class Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class Call(Struct):
    """A tool call, or a piece of one. `extra_content` and `provider_specific_fields` have what Gemini wants back, at
    Google and behind LiteLLM; some servers have `name` and `arguments` here."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    extra_content: dict[str, Any] | None = None
    provider_specific_fields: dict[str, Any] | None = None
    name: str | None = None
    arguments: Any = None


class Delta(Struct):
    """A piece of a message, or a whole one.

    Reasoning is in `reasoning_content` of DeepSeek and Kimi, `reasoning` of vLLM, Groq, Ollama and OpenRouter,
    `reasoning_details` of OpenRouter, `thinking_blocks` of LiteLLM and `thinking` of Mistral, which has it in content.
    """

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    function_call: Function | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    extra_content: dict[str, Any] | None = None
    thinking: str | None = None


Count = Annotated[int, Meta(ge=0)]


class Details(Struct):
    """Of prompt tokens or of completion tokens."""

    cached_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    reasoning_tokens: Count | None = None


class TokenUsage(Struct):
    """Counts of a call. The last four are the names of the first, and of the cache's, in servers of other makers."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    prompt_cache_hit_tokens: Count | None = None
    cached_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None


class Choice(Struct):
    """Kimi has the usage of a stream in here, OpenRouter an error; `text` is the field of legacy completions."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    error: Any = None
    usage: TokenUsage | None = None
    text: str | None = None


class OfGroq(Struct):
    """What Groq adds to a chunk: in a stream the usage."""

    usage: TokenUsage | None = None


class ChatCompletion(Struct):
    """A chunk of a stream, or a whole answer."""

    choices: list[Choice] = []
    usage: TokenUsage | None = None
    error: Any = None
    x_groq: OfGroq | None = None
    base_resp: Any = None  # MiniMax's, of success as well


decode = msgspec.json.Decoder(ChatCompletion).decode

"""Requests for embeddings and their answers, as Ollama's and OpenAI's APIs have them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

Vector = Sequence[float]


class Embedded(Struct, frozen=True):
    vectors: Sequence[Vector]
    """In the order of the texts."""
    tokens: int | None
    """Read for them, by the provider's count; None: it did not tell."""


class Format(Struct, frozen=True):
    path: str
    extra: Mapping[str, Any]
    """Further members of the request."""
    read: Callable[[bytes], Embedded]
    """Raises msgspec.MsgspecError and UnicodeDecodeError."""


class _OllamaAnswer(Struct):
    embeddings: list[list[float]]
    prompt_eval_count: int | None = None


class _OpenAIItem(Struct):
    embedding: list[float]
    index: int | None = None


class _OpenAIUsage(Struct):
    prompt_tokens: int | None = None


class _OpenAIAnswer(Struct):
    data: list[_OpenAIItem]
    usage: _OpenAIUsage | None = None


_ollama = msgspec.json.Decoder(_OllamaAnswer).decode
_openai = msgspec.json.Decoder(_OpenAIAnswer).decode


def _of_ollama(body: bytes) -> Embedded:
    answer = _ollama(body)
    return Embedded(answer.embeddings, _count(answer.prompt_eval_count))


def _of_openai(body: bytes) -> Embedded:
    answer = _openai(body)
    items = answer.data
    if all(item.index is not None for item in items):
        by_index = {item.index: item.embedding for item in items}
        vectors = [by_index[place] for place in range(len(items)) if place in by_index]
    else:
        vectors = [item.embedding for item in items]
    return Embedded(vectors, _count(answer.usage.prompt_tokens if answer.usage else None))


def _count(tokens: int | None) -> int | None:
    return tokens if tokens and tokens > 0 else None  # 0 is what servers say that do not count


FORMATS: Mapping[str, Format] = {
    "ollama": Format("/api/embed", {"truncate": False}, _of_ollama),
    "openai": Format("/embeddings", {}, _of_openai),
}

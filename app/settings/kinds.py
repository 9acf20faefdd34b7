"""Kinds of settings: what a text from the environment becomes, and why it is refused.

Raise ValueErrors that repeat nothing of a value: it may be a secret.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from app.urls import base_url

_SERVER_PATH = re.compile(r"/+(?:v1(?:/+messages|/+chat/+completions)?|api(?:/+chat)?)$")
_WAYS = {"api-key", "jwt"}


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part for part in (piece.strip() for piece in value.split(",")) if part)
    return value


def _off(value: Any) -> Any:
    return None if value == "off" else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _check_models(refs: tuple[str, ...]) -> tuple[str, ...]:
    if not refs:
        raise ValueError("names no model; try `demo`")
    if len(set(refs)) < len(refs):
        raise ValueError("names a model twice")
    return refs


def _check_ways(ways: tuple[str, ...]) -> tuple[str, ...]:
    if ways != ("none",) and (not ways or not _WAYS.issuperset(ways)):
        raise ValueError("must be none, api-key, jwt or api-key,jwt")
    return ways


def _server(url: str) -> str:
    """Without what is put behind it anyway, and people copy from examples."""
    return _SERVER_PATH.sub("", base_url(url))


def _openai(url: str) -> str:
    return base_url(url).removesuffix("/chat/completions")


def _check_redis(url: str | None) -> str | None:
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("is not a redis://, rediss:// or unix:// address")
    return url or None


Port = Annotated[int, Field(ge=0, le=65535)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]

List = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Models = Annotated[List, AfterValidator(_check_models)]
Ways = Annotated[List, AfterValidator(_check_ways)]

ServerUrl = Annotated[str, AfterValidator(_server)]
OpenAIUrl = Annotated[str, AfterValidator(_openai)]
RedisUrl = Annotated[str | None, AfterValidator(_check_redis)]

Rate = Annotated[int | None, Field(ge=1, le=1_000_000), BeforeValidator(_off)]
Usd = Annotated[float | None, Field(gt=0, le=1_000_000, allow_inf_nan=False), BeforeValidator(_off)]
Tokens = Annotated[int | None, Field(ge=1, le=1_000_000_000_000), BeforeValidator(_off)]
Share = Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False), BeforeValidator(_off)]

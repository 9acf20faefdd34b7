"""Kinds of settings: what a text from the environment becomes, and why it is refused.

Raise ValueErrors that repeat nothing of a value: it may be a secret.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from app.urls import base_url

_SERVER_PATH = re.compile(r"/+(?:v1(?:/+messages|/+chat/+completions)?|api(?:/+chat)?)$")
_OPENAI_PATH = re.compile(r"/(?:chat/completions|completions|responses|models|embeddings)$")
_WAYS = {"api-key", "jwt"}
_REDACTED = {"secrets", "cards", "ibans", "national-ids", "emails", "phones"}
_TOOL = re.compile(r"[a-zA-Z0-9_-]{1,64}\*?").fullmatch
_DIALECTS = {"otel", "openinference", "langfuse"}
_HOST = re.compile(r"\.?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*\]?").fullmatch
_DURATION = re.compile(r"-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+|-?\d+").fullmatch
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|$)").findall
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}

GIB, TIB = 2**30, 2**40
"""Bytes."""
DAY, YEAR = 86_400, 365 * 86_400
"""Seconds."""
MAX_TOKENS = 100_000_000
"""More than any model reads or writes."""


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
    if any(" " in ref or not ref.isprintable() for ref in refs):
        raise ValueError("has a name with white space in it; names are set apart by commas")
    return refs


def _check_ways(ways: tuple[str, ...]) -> tuple[str, ...]:
    if ways != ("none",) and (not ways or not _WAYS.issuperset(ways)):
        raise ValueError("must be none, api-key, jwt or api-key,jwt")
    return ways


def _check_dialects(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or not _DIALECTS.issuperset(names):
        raise ValueError("must be otel, openinference or langfuse, or several of them with commas between")
    return names


def _check_kinds(kinds: tuple[str, ...]) -> tuple[str, ...]:
    if kinds == ("none",):
        return ()
    if not kinds or not _REDACTED.issuperset(kinds):
        raise ValueError(f"must be none, or some of {', '.join(sorted(_REDACTED))} with commas between")
    return kinds


def _check_tools(names: tuple[str, ...]) -> tuple[str, ...]:
    if names == ("none",):
        return ()
    if not names or "none" in names or not all(map(_TOOL, names)):
        raise ValueError("must be none, or names of tools (a-z, A-Z, 0-9, _ and -) with commas between")
    return names


def _check_paths(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    if any(not path.is_absolute() for path in paths):
        raise ValueError("has a path that does not begin with /")
    return paths


def _check_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    if any(not _HOST(host) for host in hosts):
        raise ValueError("has something that is no host, such as tools.example, 10.0.0.7 or .internal")
    return tuple(host.lower() for host in hosts)


def _server(url: str) -> str:
    """Without what is put behind it anyway, and people copy from examples."""
    return _SERVER_PATH.sub("", base_url(url))


def _openai(url: str) -> str:
    """Without the path of an operation; with the `/v1` that OpenAI's own address has to have."""
    base = _OPENAI_PATH.sub("", base_url(url))
    parts = urlsplit(base)
    bare = not parts.path and (parts.hostname or "").endswith("api.openai.com")
    return f"{base}/v1" if bare else base


def _check_duration(text: str) -> str:
    if not _DURATION(text):
        raise ValueError("is no duration such as 5m, 1h30m, 300 (seconds), 0 or -1 (for ever)")
    if sum(float(number) * _UNITS[unit] for number, unit in _PART(text)) > 10 * YEAR:
        raise ValueError("is more than ten years; -1 is for ever")
    return text


def _check_word(text: str) -> str:
    """Without the white space around it that values get from files."""
    word = text.strip()
    if not word or not word.isprintable():
        raise ValueError("is blank, or has characters that cannot be printed")
    return word


def _check_prompt(text: str) -> str:
    if text.isspace():
        raise ValueError("is blank")
    try:
        text.encode()
    except UnicodeEncodeError:  # from a variable with other bytes
        raise ValueError("is not UTF-8") from None
    return text


def _check_redis(url: str | None) -> str | None:
    url = (url or "").strip()
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("is not a redis://, rediss:// or unix:// address")
    return url or None


def _check_queue(url: str | None) -> str | None:
    if url and not url.startswith(("redis://", "rediss://", "postgresql://")):
        raise ValueError("is not a redis://, rediss:// or postgresql:// address")
    return url or None


Port = Annotated[int, Field(ge=0, le=65535)]
Level = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]

List = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Models = Annotated[List, AfterValidator(_check_models)]
Ways = Annotated[List, AfterValidator(_check_ways)]
Dialects = Annotated[List, AfterValidator(_check_dialects)]
Hosts = Annotated[List, AfterValidator(_check_hosts)]
Kinds = Annotated[List, AfterValidator(_check_kinds)]
ToolNames = Annotated[List, AfterValidator(_check_tools)]
Paths = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split), AfterValidator(_check_paths)]

Word = Annotated[str, AfterValidator(_check_word)]
Prompt = Annotated[str, AfterValidator(_check_prompt)]
Seconds = Annotated[float, Field(ge=0.1, le=DAY, allow_inf_nan=False)]
Duration = Annotated[str, AfterValidator(_check_duration)]

ServerUrl = Annotated[str, AfterValidator(_server)]
OpenAIUrl = Annotated[str, AfterValidator(_openai)]
RedisUrl = Annotated[str | None, AfterValidator(_check_redis)]
QueueUrl = Annotated[str | None, AfterValidator(_check_queue)]

Rate = Annotated[int | None, Field(ge=1, le=1_000_000), BeforeValidator(_off)]
Usd = Annotated[float | None, Field(gt=0, le=1_000_000, allow_inf_nan=False), BeforeValidator(_off)]
Tokens = Annotated[int | None, Field(ge=1, le=1_000_000_000_000), BeforeValidator(_off)]
Share = Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False), BeforeValidator(_off)]

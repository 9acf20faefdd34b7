"""JSON values as the texts that are looked through."""

from collections.abc import Iterator
from typing import Any


def texts_of(value: Any, name: str = "") -> Iterator[str]:
    """Each string in a JSON value, with its name before it, and each name in it."""
    if isinstance(value, str):
        yield named(name, value) if name else value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield str(key)
            yield from texts_of(each, str(key))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts_of(each, name)


def named(name: str, value: str) -> str:
    return f'"{name}": "{value}'

"""Arguments of the commands, checked; a message never repeats a key."""

import os
from argparse import ArgumentTypeError
from pathlib import Path
from urllib.parse import quote, urlsplit

from app.errors import ConfigurationError

KEY_VARIABLE = "AGENT_API_KEY"


def url(text: str) -> str:
    """Of the service."""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ArgumentTypeError("must be like http://127.0.0.1:8000, without a user or a password")
    return text


def path_part(text: str) -> str:
    """An id, as it stands in a path."""
    if text in ("", ".", ".."):
        raise ArgumentTypeError("must be an id")
    return quote(text, safe="")


def count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError("must be a number above 0")
    return int(text)


def read_key(file: Path | None) -> str:
    """The key in the file, or in the environment; empty: there is none. Raises ConfigurationError."""
    if file is None:
        key, where = os.environ.get(KEY_VARIABLE, "").strip(), KEY_VARIABLE
    else:
        key, where = _content(file), str(file)
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError(f"{where}: must be the key, in one line")
    return key


def _content(file: Path) -> str:
    try:
        key = file.read_text().strip()
    except UnicodeDecodeError:
        key = ""
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    if not key:
        raise ConfigurationError(f"{file}: must be the key, in one line")
    return key

"""Reads the settings, and says what is wrong with those that cannot be used."""

import os
import stat
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.errors import ConfigurationError
from app.reloading import read_bounded
from app.settings.fields import Settings

MAX_PROMPT_BYTES = 1_048_576


def load(env_file: str | Path | None = ".env", **overrides: Any) -> Settings:
    """The settings of this process. Raises ConfigurationError with every bad setting's name and problem."""
    try:
        _check_readable(env_file)
        return _with_prompt(Settings(_env_file=env_file, **overrides))
    except OSError as error:
        raise ConfigurationError(f"{env_file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{env_file}: is not UTF-8 ({error.reason} at byte {error.start})") from None
    except ValidationError as error:
        problems = [_describe(item) for item in error.errors(include_url=False, include_input=False)]
        raise ConfigurationError("\n".join(problems)) from None


def _check_readable(env_file: str | Path | None) -> None:
    """Raises OSError for what pydantic-settings would pass over in silence."""
    if env_file is not None and os.path.lexists(env_file) and not stat.S_ISFIFO(os.stat(env_file).st_mode):  # noqa: PTH116
        Path(env_file).open("rb").close()


def _with_prompt(settings: Settings) -> Settings:
    """The settings with the text of SYSTEM_PROMPT_FILE as their system prompt. Raises ConfigurationError."""
    path = settings.system_prompt_file
    if path is None:
        return settings
    if "system_prompt" in settings.model_fields_set:
        raise ConfigurationError("SYSTEM_PROMPT_FILE: is set together with SYSTEM_PROMPT; keep one of them")
    try:
        text = read_bounded(path, MAX_PROMPT_BYTES).decode()
    except OSError as error:
        raise ConfigurationError(f"SYSTEM_PROMPT_FILE: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"SYSTEM_PROMPT_FILE: {path} is not UTF-8 ({error.reason})") from None
    except ValueError as error:
        raise ConfigurationError(f"SYSTEM_PROMPT_FILE: {path} {error}") from None
    if not text.strip():
        raise ConfigurationError(f"SYSTEM_PROMPT_FILE: {path} is empty or blank")
    return settings.model_copy(update={"system_prompt": text})


def _describe(item: ErrorDetails) -> str:
    name = str(item["loc"][0]).upper() + ": " if item["loc"] else ""  # a check across settings names them itself
    return name + item["msg"].removeprefix("Value error, ")

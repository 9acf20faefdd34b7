"""`read_file`: text files below READ_FILE_ROOTS."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from app.errors import ConfigurationError
from app.tools.context import ToolContext
from app.tools.rules.under import Under
from app.tools.tool import Tool, ToolError, make_tool

MAX_BYTES = 1_048_576


def read_file_tool(roots: Sequence[Path]) -> Tool:
    """Raises ConfigurationError for a root that is no folder."""
    for root in roots:
        if not root.is_dir():
            raise ConfigurationError(f"READ_FILE_ROOTS: {root} is no folder")
    files = Under(*roots)

    async def read_file(
        path: Annotated[str, Field(description="Absolute path of the file", max_length=4_096)],
        context: ToolContext,
        from_line: Annotated[int, Field(description="First line to read", ge=1)] = 1,
    ) -> str:
        text = await asyncio.to_thread(_read, files, path)
        context.sources.append(path)
        return text if from_line == 1 else "".join(text.splitlines(keepends=True)[from_line - 1 :])

    read_file.__doc__ = f"Read a text file. Files are below {' or '.join(files.roots)}."
    return make_tool(read_file, effect="read", max_output_chars=20_000, rules={"path": files})


def _read(files: Under, path: str) -> str:
    """Raises ToolError."""
    try:
        with files.open(path) as file:
            content = file.read(MAX_BYTES + 1)
    except ValueError as error:
        raise ToolError(f"The path {error}.") from None
    except OSError as error:
        raise ToolError(f"The file cannot be read: {error.strerror}.") from None
    if len(content) > MAX_BYTES:
        raise ToolError(f"The file is larger than {MAX_BYTES} bytes.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ToolError("The file is not UTF-8 text.") from None
    if "\0" in text:
        raise ToolError("The file is not text.")
    return text

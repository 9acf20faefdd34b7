"""Files that settings name."""

import os
import stat
from pathlib import Path


def read_file(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file, or of one that a link leads to.

    Raises OSError, and ValueError for what is no regular file, whose end may never come, or has more than `max_bytes`.
    """
    with open(path, "rb", opener=_open) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is not a regular file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"has more than {max_bytes} bytes")
    return content


def _open(path: str, flags: int) -> int:
    """Does not wait for somebody to write, as opening a pipe does."""
    return os.open(path, flags | os.O_NONBLOCK)

"""Paths below the folders that a tool may work in."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from app.tools.rules.rule import problem_with

_KERNELS = ("/proc", "/sys", "/dev")
"""What lies there is no file of anybody's: memory, environments, devices."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


class Under:
    """Absolute paths that, with all links followed, are below one of the roots or one of them.

    What a path leads to may change between the check and its use: open files by `open`, which follows no link.
    """

    def __init__(self, *roots: str | Path) -> None:
        """Raises TypeError for a root that is not absolute, and for none."""
        self.roots = tuple([os.path.realpath(root) for root in roots if Path(root).is_absolute()])
        if not roots or len(self.roots) < len(roots):
            raise TypeError("Under takes absolute paths of folders, at least one")

    def check(self, value: object) -> str | None:
        return problem_with(value, self.resolved)

    def resolved(self, value: object) -> str:
        """The path without links and `..`. Raises ValueError."""
        if not isinstance(value, str | Path):
            raise ValueError("is no path")  # noqa: TRY004 - a problem like the others
        path = str(value)
        if "\0" in path or not path.startswith("/"):
            raise ValueError("is no absolute path")
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError):  # links in a circle, characters that no file name has
            raise ValueError("cannot be resolved") from None
        if _is_below(real, _KERNELS) or not _is_below(real, self.roots):
            raise ValueError(f"is not below {' or '.join(self.roots)}")
        return real

    def open(self, value: str | Path) -> BinaryIO:
        """A regular file, to be read. No link is followed from the root on: one that was put in place since the path
        was checked is refused. Raises ValueError, and OSError."""
        real = self.resolved(value)
        root = max((root for root in self.roots if _is_below(real, (root,))), key=len)
        descriptor = _open_below(root, os.path.relpath(real, root).split("/"))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ValueError("is no regular file")
        return os.fdopen(descriptor, "rb")


def _is_below(path: str, roots: Sequence[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _open_below(root: str, names: Sequence[str]) -> int:
    folder = os.open(root, _FOLDER)
    try:
        for name in names[:-1]:
            inner = os.open(name, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(names[-1], _FILE, dir_fd=folder)
    finally:
        os.close(folder)

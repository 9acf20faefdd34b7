"""Hyperscan databases. To compile some hundred patterns takes seconds, to load what was compiled before takes none.

What is compiled is kept in the package, where an image is made (see the Dockerfile), else in a folder of the user's own
below that of temporary files. A database is only loaded from a file that nobody else could have written: Hyperscan
trusts what it is given.
"""

import os
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

import hyperscan

BUILT = Path(__file__).parent / "built"
"""Part of an image: what was compiled as it was made."""


def database(expressions: Sequence[bytes], flags: int = 0, *, literal: bool = False) -> hyperscan.Database:
    """A database in block mode whose patterns are numbered in their order. `flags` are Hyperscan's; `literal`: these
    are words, not expressions. Raises hyperscan.error for a pattern that it does not read."""
    if (found := kept(expressions, flags, literal=literal)) is not None:
        return found
    made = compiled(expressions, flags, literal)
    if (folder := own_folder(make=True)) is not None:
        _keep(folder, _name(expressions, flags, literal), made)
    return made


def kept(expressions: Sequence[bytes], flags: int = 0, *, literal: bool = False) -> hyperscan.Database | None:
    """The same, if it was compiled before."""
    name = _name(expressions, flags, literal)
    for folder in (BUILT, own_folder()):
        if folder is not None and (found := _loaded(folder / name)) is not None:
            return found
    return None


def compiled(expressions: Sequence[bytes], flags: int, literal: bool) -> hyperscan.Database:
    made, size = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK), len(expressions)
    made.compile(
        expressions=list(expressions), ids=list(range(size)), elements=size, flags=[flags] * size, literal=literal
    )
    return made


def own_folder(*, make: bool = False) -> Path | None:
    """The user's own; None where there is none that nobody else can write to."""
    folder = Path(tempfile.gettempdir()) / f"agent-api-patterns-{os.getuid()}"
    try:
        if make:
            folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return None
    return folder if stat.S_ISDIR(found.st_mode) and _is_ours(found) else None


def _keep(folder: Path, name: str, made: hyperscan.Database) -> None:
    """Does nothing where nothing can be written: it is compiled again then."""
    with suppress(OSError, hyperscan.error):
        number, path = tempfile.mkstemp(dir=folder)
        with os.fdopen(number, "wb") as file:
            file.write(hyperscan.dumpb(made))
        Path(path).replace(folder / name)


def _loaded(path: Path) -> hyperscan.Database | None:
    """None: it is not there, is not ours, or was made for another processor."""
    with suppress(OSError, hyperscan.error):
        with path.open("rb") as file:
            if not _is_ours(os.fstat(file.fileno())):
                return None
            content = file.read()
        found = hyperscan.loadb(content, hyperscan.HS_MODE_BLOCK)
        found.scratch = hyperscan.Scratch(found)
        return found
    return None


def _is_ours(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.getuid()) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _name(expressions: Sequence[bytes], flags: int, literal: bool) -> str:
    """Of the file: another pattern, flag or version is another file."""
    whole = sha256(f"{version('hyperscan')} {flags} {literal}".encode())
    for expression in expressions:
        whole.update(b"%d:%b" % (len(expression), expression))
    return f"{whole.hexdigest()}.hsdb"

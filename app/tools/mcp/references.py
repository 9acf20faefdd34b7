"""References to secrets, which a file names without holding them: `${env:NAME}` and `${file:PATH}`."""

import os
import re
from pathlib import Path

from app.reloading import read_bounded

_MAX_BYTES = 65_536
_REFERENCE = re.compile(r"\$\{(env|file):([^}]+)\}")


def resolved(value: str) -> str:
    """With what its references stand for. Raises ValueError and OSError, neither of which tells a value."""

    def stands_for(found: re.Match[str]) -> str:
        kind, name = found[1], found[2]
        if kind == "file":
            return read_bounded(Path(name), _MAX_BYTES).decode().strip()
        if name not in os.environ:
            raise ValueError(f"the variable {name} is not set")
        return os.environ[name]

    return _REFERENCE.sub(stands_for, value)

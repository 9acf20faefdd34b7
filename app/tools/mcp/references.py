"""References to secrets, which a file names without holding them: `${env:NAME}` and `${file:PATH}`."""

import os
import re
from pathlib import Path

from app.reloading import read_bounded
from app.telemetry.scrubbing import keep_secret

_MAX_BYTES = 65_536
_REFERENCE = re.compile(r"\$\{(env|file):([^}]+)\}")


def resolved(value: str) -> str:
    """With what its references stand for, which no log tells from now on. Raises ValueError and OSError, neither of
    which tells it either."""

    def stands_for(found: re.Match[str]) -> str:
        kind, name = found[1], found[2]
        if kind == "file":
            secret = read_bounded(Path(name), _MAX_BYTES).decode().strip()
        elif name in os.environ:
            secret = os.environ[name]
        else:
            raise ValueError(f"the variable {name} is not set")
        keep_secret(secret)
        return secret

    return _REFERENCE.sub(stands_for, value)

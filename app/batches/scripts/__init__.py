"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock.

Those of limits are functions in them: what a batch becomes and what its budgets are charged is one write.
"""

from pathlib import Path

from app.limits.scripts import ADMIT, SETTLE

_HERE = Path(__file__).parent


def _read(*parts: str) -> str:
    return "\n".join((_HERE / f"{part}.lua").read_text(encoding="utf-8") for part in parts)


def _function(name: str, script: str) -> str:
    return f"local function {name}(KEYS, ARGV)\n{script}\nend\n"


CANCEL = _read("time", "cancel")
CREATE = _read("time", "create")
RESERVE = _function("admit", ADMIT) + _read("reserve")
TAKE = _read("time", "take")
WRITE = _function("settle", SETTLE) + _read("time", "write")

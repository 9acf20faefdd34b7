"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock.

Those of limits are functions in them: what a batch becomes and what its budgets are charged is one write.
"""

from pathlib import Path

from app.limits.scripts import admitting, clock, settling

_HERE = Path(__file__).parent


def _read(name: str, before: str) -> str:
    return before + (_HERE / f"{name}.lua").read_text(encoding="utf-8")


CANCEL = _read("cancel", clock())
CREATE = _read("create", clock())
RESERVE = _read("reserve", admitting())
TAKE = _read("take", clock())
WRITE = _read("write", settling())

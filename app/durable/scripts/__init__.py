"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock: those of workers do not matter.

A script that writes to a run compares its claim's number first. Keys beside KEYS are made of the run's id and owner;
all begin with the hash tag of limits, and so are in one slot of a cluster. `bounds` are set by records.py.
"""

from pathlib import Path

from app.limits.scripts import admitting, clock, settling

_HERE = Path(__file__).parent


def _read(name: str, before: str, *with_: str) -> str:
    """The script, after run.lua and those of functions that it needs."""
    return before + "".join((_HERE / f"{part}.lua").read_text(encoding="utf-8") for part in ("run", *with_, name))


CREATE = _read("create", f"{clock()}local admit\n")
CREATE_ADMITTED = _read("create", admitting())
LIST = _read("list", clock(), "page")
CLAIM = _read("claim", clock())
RENEW = _read("renew", clock())
WRITE = _read("write", f"{clock()}local settle\n", "approvals")
WRITE_SETTLED = _read("write", settling(), "approvals")
HAND_BACK = _read("hand_back", clock())
CANCEL = _read("cancel", clock())
DUE = _read("due", clock())
DECIDE = _read("decide", clock(), "approvals")
LIST_APPROVALS = _read("list_approvals", clock(), "approvals", "page")

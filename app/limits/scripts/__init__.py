"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock: those of pods do not matter.

Why not the library `limits`: its strategies decide one limit a round trip, each by itself (a request that the third
limit refuses has used up the first two), by the clock of the pod, with a command of their own that cannot be sent
together with ours; and it has neither concurrency nor reservations. Three levels would cost three round trips before
the budget is even looked at. Our window is the one that its moving-window strategy has, a list of the times of the
admissions of the last minute, which is exact; `admit.lua` asks all levels and budgets at once, then writes all or none.

Every key begins with the hash tag of checks.py: all keys are in one slot of a cluster, and the scripts may add the
date to them.
"""

from pathlib import Path

_HERE = Path(__file__).parent


def _read(*parts: str) -> str:
    return "".join((_HERE / f"{part}.lua").read_text(encoding="utf-8") for part in parts)


def clock() -> str:
    """The server's clock, for scripts of other packages."""
    return _read("clock")


def settling() -> str:
    """The clock, and `settle`, a function that takes the keys and arguments of SETTLE and returns its reply: for a
    script that settles together with what else it does."""
    before, within = _read("clock", "calendar", "budget", "rest"), _read("usage", "settle")  # usage reads ARGV, too
    return f"{before}local function settle(KEYS, ARGV)\n{within}end\n"


def admitting() -> str:
    """The clock, and `admit`, a function that takes the keys and arguments of ADMIT and returns its reply."""
    return f"{_read('clock', 'calendar', 'budget', 'rest')}local function admit(KEYS, ARGV)\n{_read('admit')}end\n"


ADMIT = _read("clock", "calendar", "budget", "rest", "admit")
SETTLE = _read("clock", "calendar", "budget", "usage", "rest", "settle")
PEEK = _read("clock", "calendar", "budget", "peek")

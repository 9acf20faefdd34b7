"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock: those of pods do not matter.

Why not the library `limits`: its strategies decide one limit a round trip, each by itself (a request that the third
limit refuses has used up the first two), by the clock of the pod, with a command of their own that cannot be sent
together with ours; and it has neither concurrency nor reservations. Three levels would cost three round trips before
the budget is even looked at. Our window is the one that its moving-window strategy has, a list of the times of the
admissions of the last minute, which is exact; `admit.lua` asks all levels and budgets at once, then writes all or none.

The scripts make key names from the date, so they are for one server, or one primary with replicas, not for a cluster.
"""

from pathlib import Path

_HERE = Path(__file__).parent


def _read(name: str) -> str:
    return "".join((_HERE / f"{part}.lua").read_text(encoding="utf-8") for part in ("prelude", name))


ADMIT = _read("admit")
SETTLE = _read("settle")
PEEK = _read("peek")

"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock: those of pods do not matter."""

from pathlib import Path

from app.limits.scripts import clock

_HERE = Path(__file__).parent


def _read(*parts: str) -> str:
    return clock() + "".join((_HERE / f"{part}.lua").read_text(encoding="utf-8") for part in parts)


CLAIM = _read("groups", "claim")
MARK = _read("mark")
AGAIN = _read("again")

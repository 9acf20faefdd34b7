"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock: those of pods do not matter."""

from importlib.resources import files

from app.limits.scripts import CLOCK


def _read(*parts: str) -> str:
    return CLOCK + "".join(files(__name__).joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in parts)


CLAIM = _read("host", "claim")
MARK = _read("mark")
AGAIN = _read("again")

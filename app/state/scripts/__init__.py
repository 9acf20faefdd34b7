"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock: those of pods do not matter."""

from pathlib import Path

_HERE = Path(__file__).parent


def _read(name: str) -> str:
    return "".join((_HERE / f"{part}.lua").read_text(encoding="utf-8") for part in ("shelf", name))


APPEND = _read("append")
DELETE = _read("delete")
LIST = _read("list")
KEEP_QUESTION = (_HERE / "keep_question.lua").read_text(encoding="utf-8")

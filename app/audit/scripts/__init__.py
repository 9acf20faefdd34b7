"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock: those of processes do not
matter."""

from pathlib import Path

_HERE = Path(__file__).parent


def _read(name: str) -> str:
    return (_HERE / f"{name}.lua").read_text(encoding="utf-8")


APPEND_RECORDS = _read("append")
TRIM_RECORDS = _read("trim")

"""The Lua scripts beside this file. Each is atomic, and goes by the server's clock: those of pods do not matter."""

from pathlib import Path

_HERE = Path(__file__).parent


def _read(*parts: str) -> str:
    return "".join((_HERE / f"{part}.lua").read_text(encoding="utf-8") for part in parts)


APPEND = _read("shelf", "append")
DELETE = _read("shelf", "delete")
LIST = _read("shelf", "list")

FIND_ANSWER = _read("answer", "find_answer")
READ_ANSWER = _read("answer", "read_answer")
KEEP_ANSWER = _read("answer", "keep_answer")
LEAD_ANSWER = _read("answer", "lead_answer")
KEEP_QUESTION = _read("keep_question")

MARK_RUN = _read("mark_run")

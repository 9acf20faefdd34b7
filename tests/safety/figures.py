"""Prints what the rules for input find and miss, as a table: `python -m tests.safety.figures`. With `--precision` it
writes each rule's measured precision into its file."""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from tests.safety.measuring import Met, by_corpus, measured, precisions, rules, share, wilson


def line(name: str, found: Iterable[Met]) -> str:
    texts = list(found)
    halves = [share(each for each in texts if each.text.held_out is held) for held in (False, True)]
    whole = share(texts)
    cells = [_of(part.blocked, part.texts) for part in (*halves, whole)] + [_of(whole.seen, whole.texts)]
    return f"| {name} | {whole.texts} | {' | '.join(cells)} |"


def _of(found: int, count: int) -> str:
    if not count:
        return "-"
    low, high = wilson(found, count)
    return f"{100 * found / count:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def table() -> str:
    heads = ("corpus", "texts", "blocked, tuning half", "blocked, held out", "blocked", "blocked or flagged")
    rows = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for title, found in zip(("All attacks", "**All that is no attack**"), measured(), strict=True):
        rows += [line(name, texts) for name, texts in by_corpus(found).items()]
        rows.append(line(title, found))
    return "\n".join(rows)


def write_precisions() -> None:
    known = precisions()
    for path in sorted(Path("app/safety/rules").glob("*.yaml")):
        text = re.sub(r"\n    precision: .*", "", path.read_text())
        for rule in rules():
            if (value := known[rule]) is not None:
                text = text.replace(f"  - id: {rule}\n", f"  - id: {rule}\n    precision: {int(value * 1000) / 1000}\n")
        path.write_text(text)


if __name__ == "__main__":
    if "--precision" in sys.argv:
        write_precisions()
    print(table())

"""Writes the generated tables of README.md and docs; with --check, only says whether they are stale."""

import sys
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from app.models import failure_table
from app.settings import Settings
from scripts import metric_docs

ROOT = Path(__file__).parent.parent


def table() -> str:
    """A row a setting, in the order of app/settings."""
    rows = [
        f"| `{name.upper()}` | {_default(field)} | {_text(field)} |" for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| setting | default | what |", "|---|---|---|", *rows])


def _default(field: FieldInfo) -> str:
    value: Any = field.get_default()
    if value is None or value == ():
        return ""
    return f"`{','.join(value) if isinstance(value, tuple) else value}`"


def _text(field: FieldInfo) -> str:
    choices = ", ".join(choice for choice in get_args(field.annotation) if isinstance(choice, str))
    text = f"{field.description} ({choices})" if choices else str(field.description)
    return text.replace("|", "\\|")


TABLES = {"settings": table, "failures": failure_table.markdown, "metrics": metric_docs.markdown}
"""What stands between `<!-- NAME -->` and `<!-- /NAME -->`, by that name."""


def filled(text: str) -> str:
    """The text with each of its tables made anew."""
    for name, make in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if begin in text:
            head, _, rest = text.partition(begin)
            text = f"{head}{begin}\n{make().strip()}\n{end}{rest.partition(end)[2]}"
    return text


def main() -> int:
    stale = []
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        old = path.read_text()
        if (new := filled(old)) != old:
            stale.append(path)
            if "--check" not in sys.argv[1:]:
                path.write_text(new)
    if stale and "--check" in sys.argv[1:]:
        print(f"{', '.join(path.name for path in stale)}: a table is stale; run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

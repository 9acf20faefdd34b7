"""Writes the table of settings in README.md from app/settings; with --check, only says whether it is stale."""

import re
import sys
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from app.settings import Settings

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- settings -->", "<!-- /settings -->"


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


def main() -> int:
    old = README.read_text()
    new = re.sub(f"{BEGIN}.*?{END}", lambda _: f"{BEGIN}\n{table()}\n{END}", old, flags=re.DOTALL)
    if "--check" in sys.argv[1:]:
        if new != old:
            print("README.md: the table of settings is stale; run `make docs`", file=sys.stderr)
        return int(new != old)
    README.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())

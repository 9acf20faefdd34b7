"""The table of docs/logs.md, made of its JSON Schema: `python -m tests.telemetry.events_table` writes it."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
SCHEMA: Mapping[str, Any] = json.loads((ROOT / "docs/log-events.schema.json").read_text())
PAGE = ROOT / "docs/logs.md"
BEGIN, END = "<!-- events -->\n", "<!-- end of events -->\n"
_OF_THE_LINE = ("event", "level")


def table() -> str:
    """A row per event: its levels, its meaning, its fields with those that may be left out in brackets."""
    rows = ["| event | level | meaning | fields |", "|---|---|---|---|"]
    for name, event in SCHEMA["$defs"].items():
        if name == "line":
            continue
        levels = event["properties"].get("level", {"enum": ["any"]})["enum"]
        shown = "a library's" if name == "library" else f"`{name}`"
        rows.append(f"| {shown} | {', '.join(levels)} | {event['description']} | {_fields(event)} |")
    return "\n".join(rows) + "\n"


def _fields(event: Mapping[str, Any]) -> str:
    names = [name for name in event["properties"] if name not in _OF_THE_LINE]
    return ", ".join(f"`{name}`" if name in event["required"] else f"[`{name}`]" for name in names) or "none"


def page() -> str:
    """The page with the table as it should be."""
    return re.sub(f"(?s)(?<={BEGIN}).*?(?={END})", lambda _: table(), PAGE.read_text())


if __name__ == "__main__":
    PAGE.write_text(page())

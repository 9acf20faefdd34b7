"""Writes the table of values in the chart's README from values.yaml; with --check, only says whether it is stale.

A value's comment is the lines right above it, and begins with the value's full name. A value without a comment
belongs to the nearest one above it that has one. Values are read with their indentation of two spaces.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent.parent / "charts" / "agent-api"
BEGIN, END = "<!-- values: made by make helm-docs -->", "<!-- /values -->"
KEY = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][A-Za-z0-9_]*):")


@dataclass(frozen=True, slots=True)
class Documented:
    name: str
    default: Any
    text: str


def documented(source: str) -> list[Documented]:
    """Every value that has a comment of its own, in order. Raises ValueError for a leaf that nothing documents."""
    values = yaml.load(source, yaml.CSafeLoader)
    found: list[Documented] = []
    path: list[str] = []
    comment: list[str] = []
    for line in source.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            if not stripped.startswith("# ----"):
                comment.append(stripped.removeprefix("#").strip())
            continue
        if match := KEY.match(line):
            path = [*path[: len(match["indent"]) // 2], match["key"]]
            name, text = ".".join(path), " ".join(comment)
            default = look_up(values, path)
            if text.startswith(f"{name} "):
                found.append(Documented(name, default, text.removeprefix(f"{name} ")))
            elif text:
                raise ValueError(f"the comment above {name} does not begin with its name")
            elif not isinstance(default, dict) and not any(name.startswith(f"{one.name}.") for one in found):
                raise ValueError(f"{name} has no comment")
        comment = []
    return found


def look_up(values: Any, path: list[str]) -> Any:
    for key in path:
        values = values[key] if isinstance(values, dict) else None
    return values


def table(values: list[Documented]) -> str:
    lines = ["| value | default | what it is |", "|---|---|---|"]
    for value in values:
        default = json.dumps(value.default)
        shown = "see values.yaml" if len(default) > 40 else f"`{default}`"
        text = re.sub(r"^(is|are) ", "", value.text).replace("|", "\\|")
        lines.append(f"| `{value.name}` | {shown} | {text[0].upper()}{text[1:]} |")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    readme = CHART / "README.md"
    text = readme.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    fresh = f"{head}{BEGIN}\n{table(documented((CHART / 'values.yaml').read_text()))}\n{END}{tail}"
    if "--check" in arguments:
        if fresh != text:
            print("charts/agent-api/README.md is stale: run make helm-docs")
            return 1
        return 0
    readme.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Checks lines of the log against docs/log-events.schema.json."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.telemetry.events_table import SCHEMA


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})


def problems(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the lines, each under its event's schema."""
    found = []
    for line in lines:
        name = "library" if "logger" in line else line["event"]
        if name not in SCHEMA["$defs"]:
            found.append(f"no schema for {line}")
            continue
        found += [f"{error.json_path}: {error.message} in {line}" for error in _validator(name).iter_errors(line)]
    return found

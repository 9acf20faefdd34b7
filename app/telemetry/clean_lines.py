"""Log lines without secrets: what waits to be written is looked through together, and line by line if there is one."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.errors import GuardUnavailable
from app.redaction.redactor import Redactor
from app.telemetry.lines import Line, Rendered, as_dict, encoded


def clean(redactor: Redactor, lines: Sequence[Line | Rendered], written: bytes) -> list[Line | Rendered] | None:
    """The lines without secrets; of one that cannot be looked at only that there was one. None: nothing is in what was
    written of them."""
    try:
        if not redactor.holds(written):
            return None
    except GuardUnavailable:
        return [_withheld(line) for line in lines]
    return [_clean_line(redactor, line) for line in lines]


def _clean_line(redactor: Redactor, line: Line | Rendered) -> Line | Rendered:
    try:
        if isinstance(line, Rendered):
            return line._replace(text=redactor.text(line.text.decode()).encode())
        fields = msgspec.json.decode(encoded(as_dict(line)))
        return Rendered(line[1], encoded({name: _clean_field(redactor, name, fields[name]) for name in fields}))
    except GuardUnavailable:
        return _withheld(line)


def _withheld(line: Line | Rendered) -> Line | Rendered:
    if isinstance(line, Rendered):
        return line._replace(text=b"(withheld)")
    at, level, event, request, _ = line
    return at, level, event, request, {}


def _clean_field(redactor: Redactor, name: str, value: Any) -> Any:
    """Ids are looked at by themselves: one of ours is no secret because of its name, one that a caller chose may be."""
    return redactor.value(value) if name.endswith("_id") else redactor.value({name: value})[name]

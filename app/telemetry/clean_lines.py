"""Log lines without secrets: what waits to be written is looked through together, and line by line if there is one."""

from collections.abc import Sequence
from types import NoneType
from typing import Any

import msgspec

from app.errors import GuardUnavailable
from app.redaction.redactor import Redactor
from app.redaction.values import named, texts_of
from app.telemetry.lines import Line, Rendered, as_dict, encoded

_HOLD_NOTHING = frozenset({int, float, bool, NoneType})
_KNOWN = 4096
_KNOWN_CHARS = 64
_ID_CHARS = 36
_CHOSEN = ("session_id", "request_id")
"""Ids that callers may choose."""
_Field = tuple[str, str]


class LineCleaner:
    """For one redactor. It keeps short fields in which there was nothing: most of a line's come again and again."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self._known: set[_Field] = set()

    def clean(self, lines: Sequence[Line | Rendered]) -> list[Line | Rendered] | None:
        """The lines without secrets; of one that cannot be looked at only that there was one. None: there is nothing
        to take out."""
        texts, fields = self._new(lines)
        if not (texts or fields):
            return None
        try:
            if self.redactor.holds("\n".join([*texts, *[named(name, value) for name, value in fields]])):
                return [_clean_line(self.redactor, line) for line in lines]
        except GuardUnavailable:
            return [_withheld(line) for line in lines]
        if len(self._known) > _KNOWN:
            self._known.clear()
        self._known.update([field for field in fields if len(field[1]) <= _KNOWN_CHARS])
        return None

    def _new(self, lines: Sequence[Line | Rendered]) -> tuple[list[str], list[_Field]]:
        """What has to be looked at: texts, and fields that are not known. All else is numbers, and ids of ours."""
        texts: list[str] = []
        fields: list[_Field] = []
        known = self._known
        for line in lines:
            if isinstance(line, Rendered):
                texts.append(line.text.decode())
                continue
            if (event := ("event", str(line[2]))) not in known:
                fields.append(event)
            if (request_id := line[3].request_id) and not _is_ours(request_id):
                texts.append(request_id)
            for field in line[4].items():
                value = field[1]
                if type(value) is str:
                    if not field[0].endswith("_id"):
                        if field not in known:
                            fields.append(field)
                    elif field[0] in _CHOSEN and not _is_ours(value) and field not in known:
                        texts.append(value)
                        fields.append(field)
                elif type(value) not in _HOLD_NOTHING:
                    texts += texts_of(msgspec.json.decode(encoded(dict([field]))))
        return texts, fields


def _is_ours(id_: str) -> bool:
    """Whether an id looks like those that are made here, in which nothing can be found; callers may choose others."""
    return len(id_) == _ID_CHARS and id_[8] == id_[13] == id_[18] == id_[23] == "-"


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
    """Ids of ours are no secrets, whatever they look like; those that a caller chose are looked at by themselves."""
    if name in _CHOSEN:
        return redactor.value(value)
    return value if name.endswith("_id") else redactor.value({name: value})[name]

"""Inputs of a batch, read one by one: what is wrong with which is told of all of them together."""

import re

import msgspec
from msgspec import Raw, Struct

from app.api.dialects.native.dialect import check_text
from app.api.invalid import invalid, printable
from app.batches.record import Input
from app.errors import InvalidRequest

MAX_NAMED = 1_000
"""Maximum number of inputs that one problem document names."""

_TOLD = 3  # of them in its sentence
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch


class _Line(Struct, forbid_unknown_fields=True):
    custom_id: str
    message: str | None = None
    query: str | None = None


_decode = msgspec.json.Decoder(_Line).decode


class Inputs:
    """Reads inputs one by one, and remembers what is wrong with which."""

    def __init__(self, most: int, most_chars: int) -> None:
        self._most = most
        self._most_chars = most_chars
        self._names: set[str] = set()
        self._faults: list[dict[str, str]] = []
        self._more = 0
        self._count = 0

    def read(self, place: str, item: bytes | Raw) -> Input | None:
        """The input at that place of the body; None if something is wrong with it. Raises InvalidRequest for one too
        many."""
        self._count += 1
        if self._count > self._most:
            raise invalid([{"loc": ("inputs",), "msg": f"At most {self._most} are taken in a batch"}])
        try:
            line = _decode(item)
            message = self._check(line)
        except msgspec.ValidationError as error:
            problem = str(error)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            problem = f"Invalid JSON: {error}"
        except InvalidRequest as error:
            problem = error.detail
        else:
            self._names.add(line.custom_id)
            return Input(line.custom_id, message)
        if len(self._faults) < MAX_NAMED:
            self._faults.append({"field": place, "problem": printable(problem)})
        else:
            self._more += 1
        return None

    def check(self) -> None:
        """Raises InvalidRequest that names every input that something is wrong with."""
        if not self._count:
            raise invalid([{"loc": ("inputs",), "msg": "There is none"}])
        if faults := self._faults:
            told = "; ".join(f"{fault['field']}: {fault['problem']}" for fault in faults[:_TOLD])
            others = len(faults) - _TOLD
            told = f"{told}; and {others} others that `errors` names" if others > 0 else told
            raise InvalidRequest(told, faults, more=self._more)

    def _check(self, line: _Line) -> str:
        """Its message. Raises InvalidRequest."""
        if not _ID(line.custom_id):
            raise InvalidRequest("custom_id: Should be 1 to 64 letters, digits, `_` and `-`")
        if line.custom_id in self._names:
            raise InvalidRequest("custom_id: Another input has it")
        if line.message is not None and line.query is not None:
            raise InvalidRequest("query: Is another name of message; give one of the two")
        message = line.query if line.message is None else line.message
        if message is None:
            raise InvalidRequest("message: Field required")
        return check_text("message", message, self._most_chars)

"""Bodies of `POST /batches`: JSON, read whole, or JSON lines of which no more than some are held at once."""

from collections.abc import AsyncIterator, Sequence

import msgspec
from msgspec import Raw
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.api.batch_inputs import Inputs
from app.api.body import Body, receive_body
from app.api.dialects.native.batch_requests import BatchOptions
from app.api.invalid import invalid
from app.batches.record import Input
from app.errors import BodyTooLarge

_READ = 200  # inputs that are handed on together
_OF_INPUTS = frozenset({"custom_id", "message", "query"})


Items = AsyncIterator[tuple[str, bytes | Raw]]
"""Inputs with their places in the body, as they are named to who sent it."""

_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_items = msgspec.json.Decoder(list[Raw]).decode
_encode = msgspec.json.Encoder().encode


class BatchBody:
    """A body whose options are read, and its inputs are to be."""

    def __init__(self, options: BatchOptions, items: Items, inputs: Inputs) -> None:
        self.options = options
        self._items = items
        self._inputs = inputs

    async def inputs(self) -> AsyncIterator[Sequence[Input]]:
        """Some at a time. Once all are read, raises InvalidRequest if something is wrong with any."""
        some: list[Input] = []
        async for place, item in self._items:
            if (read := self._inputs.read(place, item)) is not None:
                some.append(read)
            if len(some) == _READ:
                yield some
                some = []
        self._inputs.check()
        yield some


class BatchBodies:
    """Reads the bodies of the route."""

    def __init__(self, most_inputs: int, most_chars: int, most_line_bytes: int) -> None:
        self._most_inputs = most_inputs
        self._most_chars = most_chars
        self._most_line_bytes = most_line_bytes
        self._options = Body(BatchOptions).read

    async def read(self, receive: Receive, *, lines: bool) -> BatchBody:
        """Raises InvalidRequest."""
        inputs = Inputs(self._most_inputs, self._most_chars)
        if not lines:
            fields = _object(await receive_body(receive))
            given = fields.pop("inputs", None)
            options = self._options(_encode(fields))
            return BatchBody(options, _listed(given), inputs)
        each = lines_of(receive, self._most_line_bytes)
        first = await anext(each, None)
        own = None if first is None else self._first(first[1])
        if own is not None:
            return BatchBody(own, _named(each), inputs)
        return BatchBody(BatchOptions(), _named(each, first), inputs)

    def _first(self, line: bytes) -> BatchOptions | None:
        """The options, if the line is no input. Raises InvalidRequest."""
        try:
            fields = _fields(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        return None if fields.keys() & _OF_INPUTS else self._options(line)


async def lines_of(receive: Receive, most_bytes: int) -> AsyncIterator[tuple[int, bytes]]:
    """The lines of a body as they come, with their numbers from 1, without those that are blank; each of so many bytes
    at most. Raises BodyTooLarge, ClientDisconnect, or the reason why the body will not be complete."""
    rest, number, more = b"", 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        *lines, rest = (rest + message.get("body", b"")).split(b"\n")
        for line in lines if more else (*lines, rest):
            number += 1
            if len(line) > most_bytes:
                raise _too_long(most_bytes)
            if line.strip():
                yield number, line
        if len(rest) > most_bytes:
            raise _too_long(most_bytes)


def _too_long(most_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"A line may have at most {most_bytes} bytes.")


async def _named(lines: AsyncIterator[tuple[int, bytes]], first: tuple[int, bytes] | None = None) -> Items:
    if first is not None:
        yield f"line {first[0]}", first[1]
    async for number, line in lines:
        yield f"line {number}", line


async def _listed(given: Raw | None) -> Items:
    """Raises InvalidRequest."""
    if given is None:
        raise invalid([{"loc": ("inputs",), "msg": "Field required"}])
    try:
        items = _items(given)
    except msgspec.ValidationError:
        raise invalid([{"loc": ("inputs",), "msg": "Input should be a valid list"}]) from None
    for place, item in enumerate(items):
        yield f"inputs.{place}", item


def _object(body: bytes) -> dict[str, Raw]:
    """Raises InvalidRequest."""
    try:
        return _fields(body)
    except msgspec.ValidationError:
        problem = "Input should be an object"
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = f"Invalid JSON: {error}"
    except RecursionError:
        problem = "Invalid JSON: nested too deeply"
    raise invalid([{"loc": (), "msg": problem}])

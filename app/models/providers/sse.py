"""Server-sent events, as far as model providers use them: the data of each event."""

import re

from app.models.providers.failures import unavailable

MAX_EVENT_BYTES = 16 * 1024 * 1024
BOM = b"\xef\xbb\xbf"
_BEGINNINGS = frozenset((b"d", b"e", b"i", b"r", b":"))
_NEXT_EVENT = re.compile(rb"(?<=\})\n(?=data: ?(?:\{|\[DONE)|event:)")
"""Where one event follows another without a blank line: no JSON goes on like this."""


def is_events(body: bytes) -> bool:
    """Whether a body that begins like this is a stream of events: a field, or a comment; no JSON begins so."""
    return body[:1] in _BEGINNINGS


class SseData:
    """Cuts a byte stream into the data of its events, by https://html.spec.whatwg.org/#parsing-an-event-stream;
    names and ids of events are not looked at. It works on bytes, so a chunk may end anywhere."""

    __slots__ = ("_begun", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._begun = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that this chunk completes. Raises ModelUnavailable for an endless event."""
        buffer = self._rest + chunk if self._rest else chunk
        if not self._begun:
            if len(buffer) < len(BOM) and BOM.startswith(buffer):
                self._rest = buffer
                return []
            buffer = buffer.removeprefix(BOM)
            self._begun = True
        if buffer.find(b"\n") == len(buffer) - 2 and buffer.endswith(b"\n\n") and buffer.startswith(b"data:"):
            self._rest = b""  # nearly all chunks are one event of one line
            return [data] if (data := buffer[5:].strip()) else []
        held = b""
        if b"\r" in buffer:
            buffer, held = _with_line_feeds(buffer)
        if b"}\ndata:" in buffer or b"}\nevent:" in buffer:
            buffer = _NEXT_EVENT.sub(b"\n\n", buffer)
        *events, rest = buffer.split(b"\n\n")
        self._rest = rest + held
        if len(self._rest) > MAX_EVENT_BYTES:
            raise unavailable("broken_answer", f"an event of more than {MAX_EVENT_BYTES} bytes")
        return [data for event in events if (data := _data(event))]

    def close(self) -> bytes:
        """The data of what was left without a blank line when the stream ended."""
        rest, self._rest = self._rest, b""
        return _data(rest)


def _with_line_feeds(buffer: bytes) -> tuple[bytes, bytes]:
    """Lines that end with a line feed, and a carriage return at the end, which one may follow."""
    held = b"\r" if buffer.endswith(b"\r") and not buffer.endswith((b"\r\r", b"\n\r")) else b""
    return buffer.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n"), held


def _data(event: bytes) -> bytes:
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    if event.startswith(b"error:") and b"\ndata:" not in event:  # llama.cpp's own field
        return b'{"error":%s}' % event[6:].strip()
    return b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))

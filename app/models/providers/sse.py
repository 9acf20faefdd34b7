"""Server-sent events, as far as model providers use them: the data of each event."""

from app.models.providers.failures import unavailable

MAX_EVENT_BYTES = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


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
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._rest = buffer
                return []
            buffer = buffer.removeprefix(_BOM)
            self._begun = True
        if b"\r" in buffer:
            buffer = buffer.replace(b"\r\n", b"\n")
        *events, self._rest = buffer.split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise unavailable("broken_answer", f"an event of more than {MAX_EVENT_BYTES} bytes")
        return [data for event in events if (data := _data(event))]

    def close(self) -> bytes:
        """The data of what was left without a blank line when the stream ended."""
        rest, self._rest = self._rest, b""
        return _data(rest)


def _data(event: bytes) -> bytes:
    if event.startswith(b"data:") and b"\n" not in event:
        return event[5:].strip()
    if event.startswith(b"error:") and b"\ndata:" not in event:  # llama.cpp's own field
        return b'{"error":%s}' % event[6:].strip()
    return b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))

"""Signs the head of this process's chain every AUDIT_HEAD_SECONDS, for the log and for the store."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from app.audit.heads import Trimmed, as_document
from app.audit.keys import HEADS, TRIMMED, WRITERS
from app.audit.recorder import Recorder
from app.errors import StateUnavailable
from app.telemetry.logs import log
from app.telemetry.metrics import AUDIT_HEAD_TIME

if TYPE_CHECKING:
    from app.audit.signing import Signer

_LAST_WORDS_SECONDS = 2.0


class Sealing:
    """Built once a process. Nothing is signed before there is something on record."""

    def __init__(self, recorder: Recorder, key_file: Path | None, seconds: float) -> None:
        """Raises ConfigurationError for a key that cannot be used."""
        self._recorder = recorder
        self._key_file = key_file
        self._seconds = seconds
        self._signer: Signer | None = None
        self._seen = (1, "")  # writers there ever were, and the newest record of any
        if key_file is not None:
            self._signer = _load_signer(key_file)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            await self.seal()

    async def signer(self) -> "Signer":
        """Without AUDIT_KEY_FILE the key is made when it is needed first: cryptography takes 50 ms to load."""
        if self._signer is None:
            self._signer = await asyncio.to_thread(_load_signer, self._key_file)
        return self._signer

    async def seal(self, kind: Literal["head", "final"] = "head") -> dict[str, Any] | None:
        """Sign what the store has taken of this process's chain, and tell the log and the store. Returns the head; None
        where there is no record yet."""
        writer = self._recorder.writer
        if not writer.end.sequence:
            return None
        signer = await self.signer()
        await self._look()
        fields = {"kind": kind, "writer": writer.name, "sequence": writer.end.sequence, "hash": writer.end.hash}
        fields |= {"at": writer.now, "writers": self._seen[0], "last_id": self._seen[1]}
        head = signer.sign({**fields, "dropped": self._recorder.dropped, "breaks": 0})
        log.always("audit.head", head)
        AUDIT_HEAD_TIME.set_to_current_time()
        written = writer.stream.store.call("HSET", HEADS, writer.name, msgspec.json.encode(head))
        writer.stream.keep()
        try:
            await written
        except StateUnavailable as error:
            log.warning("audit.head_unwritten", error=repr(error.__cause__))
        return head

    async def aclose(self) -> None:
        """The last head, if that takes no more than a moment."""
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self.seal("final")
        except TimeoutError:
            log.warning("audit.head_unwritten", error="timeout")

    async def _look(self) -> None:
        stream = self._recorder.writer.stream
        counted, marked = stream.store.call("HLEN", WRITERS), stream.store.call("GET", TRIMMED)
        try:
            last_id = await stream.last_id()
            self._seen = await counted + removed_of(await marked), last_id
        except StateUnavailable:
            pass  # what was seen before stays true


def removed_of(mark: bytes | None) -> int:
    """Writers of which nothing is left, as the mark says."""
    document = None if mark is None else as_document(mark, Trimmed)
    return 0 if document is None else int(document["removed"])


def _load_signer(key_file: Path | None) -> "Signer":
    from app.audit.signing import signer_of  # with cryptography

    return signer_of(key_file)

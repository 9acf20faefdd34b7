"""Trims what is older than AUDIT_DAYS, or more than AUDIT_RECORDS, and signs where the chains begin from then on."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import msgspec

from app.audit.chains import Chains
from app.audit.heads import Kept, Trimmed, by_writer, parse_head, read_kept
from app.audit.keys import ANCHORS, HEADS, STREAM, TRIMMED, TRIMMING, WRITERS
from app.audit.record import Link
from app.audit.scripts import TRIM_RECORDS
from app.audit.sealing import Sealing, removed_of
from app.audit.stream import Stored, Stream, order_of
from app.errors import StateUnavailable
from app.settings.kinds import DAY
from app.state.store import Script
from app.telemetry.logs import log

HOUR, MINUTE = 3_600.0, 60.0
_LEASE_SECONDS = 600
MOST_IN_PROCESS = 10_000
"""Records without a server, whose memory is this process's."""


class Retention:
    """Built once a process; one of all processes trims at a time."""

    def __init__(self, stream: Stream, sealing: Sealing, *, most: int) -> None:
        """`most` records are kept, however young they are: nobody can fill the store with calls."""
        self._stream = stream
        self._sealing = sealing
        self._milliseconds = round(stream.days * DAY * 1000)
        self._most = most
        self._trim = Script(stream.store, TRIM_RECORDS)

    async def run(self) -> None:
        """Once an hour, and within a minute where there are too many, until cancelled."""
        loop = asyncio.get_running_loop()
        trimmed_at = loop.time()
        while True:
            await asyncio.sleep(MINUTE * random.uniform(0.9, 1.1))  # noqa: S311 - processes do not trim all at once
            try:
                spare = await self._spare()
                if spare <= 0 and loop.time() - trimmed_at < HOUR:
                    continue
                trimmed_at = loop.time()
                if await self.trim() and spare > 0:
                    log.warning("audit.full", records=self._most, detail="the oldest were removed; see AUDIT_RECORDS")
            except StateUnavailable as error:
                log.warning("audit.untrimmed", error=repr(error.__cause__))

    async def _spare(self) -> int:
        return int(await self._stream.store.call("XLEN", STREAM)) - self._most

    async def trim(self) -> int:
        """Returns the number of records that went. Raises StateUnavailable."""
        call, gone = self._stream.store.call, 0
        if not await call("SET", TRIMMING, "1", "NX", "EX", _LEASE_SECONDS):
            return 0
        try:
            while page := await self._next_page():
                await self._trim_page(page)
                gone += len(page)
            if gone:
                await self._forget_writers()
            return gone
        finally:
            call("DEL", TRIMMING)

    async def _next_page(self) -> list[Stored]:
        """The oldest records, as far as they are to go."""
        asked, spare = self._stream.store.call("TIME"), await self._spare()
        seconds, _ = await asked
        before = int(seconds) * 1000 - self._milliseconds
        async for page in self._stream.pages():
            old = list(takewhile(lambda stored: order_of(stored.id)[0] < before, page))
            return max(old, page[: max(spare, 0)], key=len)
        return []

    async def _trim_page(self, page: list[Stored]) -> None:
        kept = await read_kept(self._stream.store)
        anchors = {writer: anchor for writer, data in kept.anchors.items() if (anchor := parse_head(data))}
        chains = Chains({writer: anchor.link for writer, anchor in anchors.items()})
        breaks = {writer: anchor.breaks for writer, anchor in anchors.items()}
        for stored in page:
            writer, _, problems = chains.add(stored)
            if problems:
                breaks[writer] = breaks.get(writer, 0) + 1
                kinds = [problem.kind for problem in problems]
                log.error("audit.broken", writer=writer, kinds=kinds, id=stored.id)
        signer, until = await self._sealing.signer(), page[-1].id
        pairs = {
            writer: msgspec.json.encode(signer.sign(_anchor(writer, end, until, breaks.get(writer, 0))))
            for writer, end in chains.ends.items()
        }
        await self._mark(until, removed_of(kept.trimmed), pairs)
        log.always("audit.trimmed", {"until": until, "records": len(page), "breaks": sum(breaks.values())})

    async def _forget_writers(self) -> None:
        """Those of which nothing is left, and who have been silent for as long."""
        store = self._stream.store
        kept, ends = await read_kept(store), by_writer(await store.call("HGETALL", WRITERS))
        if kept.trimmed is None:
            return
        until = msgspec.json.decode(kept.trimmed, type=Trimmed).until
        over = [writer for writer, end in ends.items() if _is_over(kept, writer, end, until)]
        if over:
            await self._mark(until, removed_of(kept.trimmed) + len(over), {}, over)

    async def _mark(self, until: str, removed: int, anchors: Mapping[str, bytes], over: Sequence[str] = ()) -> None:
        at, number = order_of(until)
        mark = (await self._sealing.signer()).sign({"until": until, "at": at, "removed": removed})
        pairs = [part for pair in anchors.items() for part in pair]
        keys = (STREAM, ANCHORS, TRIMMED, WRITERS, HEADS)
        first = f"{at}-{number + 1}"
        await self._trim(keys, first, msgspec.json.encode(mark), self._stream.seconds, len(anchors), *pairs, *over)


def _anchor(writer: str, end: Link, until: str, breaks: int) -> dict[str, Any]:
    at, _ = order_of(until)
    end_of_chain = {"kind": "anchor", "writer": writer, "sequence": end.sequence, "hash": end.hash}
    return {**end_of_chain, "at": at, "writers": 0, "last_id": until, "dropped": 0, "breaks": breaks}


def _is_over(kept: Kept, writer: str, end: bytes, until: str) -> bool:
    anchor = parse_head(kept.anchors.get(writer, b""))
    if anchor is None or anchor.sequence < int(end.split()[0]):
        return False
    head = parse_head(kept.heads.get(writer, b""))
    return head is None or head.at < order_of(until)[0]

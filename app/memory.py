"""Memory: what was freed goes back to the system, for C's allocator keeps it, and a process that once held much would
look as if it still did; and what start-up made is left alone by the collector."""

import asyncio
import ctypes
import gc
import sys
from pathlib import Path

_EVERY_SECONDS = 5.0
_WORTH_BYTES = 16 * 1024 * 1024
_PAGE_BYTES = 4096
_STATM = Path("/proc/self/statm")
_GC_THRESHOLD = (20_000, 20, 20)


def settle_down() -> None:
    """What start-up made stays: the collector need not look at it again, and looks less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLD)


async def trim() -> None:
    """Trims the heap now and then while the process is 16 MB larger than when it started, until cancelled.

    Returns at once where the C library cannot.
    """
    if not sys.platform.startswith("linux") or not hasattr(library := ctypes.CDLL(None), "malloc_trim"):
        return
    first = _resident()
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        if _resident() > first + _WORTH_BYTES:
            await asyncio.to_thread(library.malloc_trim, 0)  # takes some milliseconds


def _resident() -> int:
    """Bytes."""
    return int(_STATM.read_bytes().split()[1]) * _PAGE_BYTES

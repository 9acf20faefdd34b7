"""Cancels a coroutine when its client disconnects."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from app.api.lifecycle import Lifecycle
from app.errors import ShuttingDown

T = TypeVar("T")


async def cancel_on_disconnect(work: Coroutine[Any, Any, T], request: Request, lifecycle: Lifecycle) -> T:
    """The work's result; the request's body has been read.

    The work is cancelled when the client leaves, which raises ClientDisconnect, and when the process does, which raises
    ShuttingDown.
    """
    doing = asyncio.create_task(work)
    gone = asyncio.create_task(_gone(request.receive))
    cut_off = asyncio.create_task(lifecycle.cut_off.wait())
    try:
        await asyncio.wait((doing, gone, cut_off), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        if gone.done():
            raise ClientDisconnect
        raise ShuttingDown.now()
    finally:
        for task in (doing, gone, cut_off):
            task.cancel()
        await asyncio.wait((doing, gone, cut_off))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

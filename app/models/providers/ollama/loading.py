"""Waiting for a model that Ollama loads, which may take minutes on a slow disk."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec

from app.errors import AppError
from app.models.providers.http import Http, read

ALIVE_SECONDS = 2.0
"""In which a server that only loads a model answers other questions."""

SOON_SECONDS = 0.5
"""In which it says that a model is loaded already."""

_HEADERS = {"Content-Type": "application/json"}


async def wait_loaded(http: Http, base_url: str, body: dict[str, Any]) -> bool:
    """Returns when the model of `body` is loaded, or the server answers neither to this nor to anything else: True if
    the model was loading until now.

    A request without a prompt is answered as soon as the model is loaded, in a line whose `done_reason` is `load`.
    /api/ps cannot tell, since it lists a model from the beginning of its loading on: it shows that the server is alive.
    """
    load = asyncio.create_task(_ask(http, "POST", f"{base_url}/api/generate", msgspec.json.encode(body)))
    try:
        done, _ = await asyncio.wait((load,), timeout=SOON_SECONDS)
        if done:
            return False
        while not done:
            async with asyncio.timeout(ALIVE_SECONDS):
                if not await _ask(http, "GET", f"{base_url}/api/ps", None):
                    return False
            done, _ = await asyncio.wait((load,), timeout=ALIVE_SECONDS)
        return load.result()
    except TimeoutError:
        return False
    finally:
        load.cancel()
        with suppress(asyncio.CancelledError):
            await load


async def _ask(http: Http, method: str, url: str, body: bytes | None) -> bool:
    """Whether the answer is a good one."""
    try:
        async with http.call(method, url, body, _HEADERS) as response:
            await read(response)
    except AppError:
        return False
    return True

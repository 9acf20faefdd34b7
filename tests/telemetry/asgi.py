"""The whole app in the test's own process and loop, asked without a network; and the series that it has."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from prometheus_client import REGISTRY

from app.api.framework import Api


async def ask(
    app: Api, method: str, path: str, body: bytes | Mapping[str, Any] = b"", headers: Mapping[str, str] | None = None
) -> int:
    """The answer's status."""
    sent = body if isinstance(body, bytes) else msgspec.json.encode(body)
    given = {"content-type": "application/json", "content-length": str(len(sent)), **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    status = 0

    unread = [{"type": "http.request", "body": sent, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not unread:
            await asyncio.Event().wait()  # the client stays
        return unread.pop()

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(scope, receive, send)
    return status


def series() -> dict[str, float]:
    """Every series of the process by its name and labels."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
    }

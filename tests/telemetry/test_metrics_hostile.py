"""Nothing that a caller makes up becomes a series."""

import asyncio
import random
import string
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import pytest

from app.api.framework import Api
from app.main import create_app
from app.settings import load
from tests.telemetry.asgi import ask, series

REQUESTS = 10_000
TOGETHER = 500


@pytest.fixture
def app() -> Api:
    settings: dict[str, Any] = {
        "anonymous_per_minute": "off",
        "anonymous_concurrent": "off",
        "refused_per_minute": "off",
        "budget_global_day_usd": None,
        "cors_origins": "https://good.example",
        "max_body_bytes": 2000,
        "trusted_proxies": "127.0.0.1",
        "log_level": "error",
    }
    return create_app(load(None, **settings))


Shape = tuple[str, str, Any, dict[str, str]]
"""Method, path, body, headers."""


def refused(word: "Words") -> Iterator[Shape]:
    """Requests that come to nothing, each way once, with words of the caller's own."""
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", word().upper()):
        for path in ("/chat", "/api/chat/stream", "/agent/run", f"/{word()}", f"/sessions/{word()}"):
            yield method, path, b"", {}
        yield method, f"/api/tools/{word()}", {}, {"origin": f"https://{word()}.example"}
    for path, text in (("/chat", "message"), ("/chat/stream", "message"), ("/agent/run", "query")):
        for field in ("model", "agent"):
            yield "POST", path, {text: word(), field: word()}, {}
        yield "POST", path, {text: word(), "tools": [word()]}, {}
        for body in ("{", "[]", f'{{"{text}": 1}}', f'{{"{text}": ""}}', f'{{"{text}": "hi", "{word()}": 1}}'):
            yield "POST", path, body.encode(), {}
        yield "POST", path, b"x" * 3000, {}
        yield "POST", path, b"x", {"content-type": f"{word()}/{word()}"}
        yield "POST", path, b"x", {"content-length": word()}
    yield "OPTIONS", "/chat", b"", {"origin": f"https://{word()}", "access-control-request-method": word()}
    yield "POST", "/feedback", {"run_id": word(), "completed": True}, {}
    yield "POST", "/api/tools/calculator", {word(): word()}, {}
    yield "POST", "/api/tools/calculator", {"expression": word()}, {}
    yield "GET", f"/agents/{word()}", b"", {word(): word()}


def answered(word: "Words") -> Iterator[Shape]:
    """Requests that are answered, whatever the caller made up in them."""
    for path, text in (("/chat", "message"), ("/chat/stream", "message"), ("/agent/run", "query")):
        for field in ("session_id", "user_id"):
            yield "POST", path, {text: word(), field: word()}, {}
        yield "POST", path, {text: word()}, {"x-forwarded-for": word(), "x-forwarded-prefix": f"/{word()}"}
    for headers in (
        {"baggage": f"{word()}={word()}", "tracestate": f"{word()}={word()}"},
        {"traceparent": f"00-{word()}-{word()}-01", "x-request-id": word()},
        {"host": word(), "authorization": f"Bearer {word()}", "user-agent": word()},
    ):
        yield "GET", "/usage", b"", headers
        yield "POST", "/chat", {"message": word()}, headers


def hostile(word: "Words") -> Iterator[Shape]:
    """Without end."""
    for turn in count():
        yield from refused(word)
        if turn % 8 == 0:
            yield from answered(word)


class Words:
    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def __call__(self) -> str:
        return "".join(self._random.choices(string.ascii_letters, k=12))


async def test_ten_thousand_hostile_requests_add_no_series(app: Api) -> None:
    statuses = {await ask(app, *shape) for shape in (*refused(Words(0)), *answered(Words(0)))}
    assert statuses >= {200, 403, 404, 405, 413, 415, 422}
    before = series()
    endless = hostile(Words(1))
    for _ in range(REQUESTS // TOGETHER):
        await asyncio.gather(*(ask(app, *shape) for shape in islice(endless, TOGETHER)))
    after = series()
    assert after.keys() == before.keys()
    counted = [name for name in after if name.startswith("agent_requests_total")]
    assert sum(after[name] - before[name] for name in counted) == REQUESTS

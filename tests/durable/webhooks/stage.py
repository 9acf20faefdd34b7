"""A receiver of webhooks, runs that end, and processes that tell it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from msgspec.structs import replace
from standardwebhooks import Webhook as Verifier

from app.durable.record import Ending, Record, Webhook, Write
from app.durable.records import Records
from app.durable.webhooks.backoff import Backoff
from app.durable.webhooks.message import delivery
from app.durable.webhooks.outbox import Delivery, Outbox
from app.durable.webhooks.secrets import Secrets
from app.durable.webhooks.webhooks import Webhooks
from app.egress.egress import Egress
from app.settings import load
from app.state.store import Store
from app.tls import client_context
from tests.durable.stage import OWNER, new_run
from tests.durable.test_rendering import ANSWER

LOOPBACK = "127.0.0.1"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
AT_ONCE = Backoff(first_seconds=0.02, factor=1, total_seconds=20)
"""No test waits for hours."""

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """A server that keeps what it is sent, and answers as it is told: by these in turn, then by 204."""

    def __init__(self) -> None:
        self.heard: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int | Answer] = []
        self.by_path: dict[str, Answer] = {}
        self.port = 0
        self._more = asyncio.Event()
        self._runner: web.AppRunner | None = None

    def url(self, path: str = "/in?token=t0ken", host: str = LOOPBACK) -> str:
        return f"http://{host}:{self.port}{path}"

    async def start(self) -> None:
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, LOOPBACK, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.heard.append((dict(request.headers), await request.read()))
        self._more.set()
        answer = self.by_path.get(request.path) or (self.answers.pop(0) if self.answers else 204)
        return web.Response(status=answer) if isinstance(answer, int) else await answer(request)

    async def hears(self, count: int) -> None:
        """Wait until there were so many requests."""
        async with asyncio.timeout(20):
            while len(self.heard) < count:
                self._more.clear()
                await self._more.wait()

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.heard]

    def events(self, secret: str = SECRET) -> list[dict[str, Any]]:
        """Bodies whose signature holds, as receivers check it."""
        return [Verifier(secret).verify(body, headers) for headers, body in self.heard]


def secrets(folder: Path, **contents: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in (contents or {"main": SECRET}).items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def to_loopback(host: str, port: int, *_: object) -> list[Any]:
    """A name server that knows one address."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, port))]


def webhooks(
    store: Store,
    folder: Path,
    *,
    hosts: tuple[str, ...] = (LOOPBACK,),
    backoff: Backoff = AT_ONCE,
    lease_seconds: float = 30,
    seconds: float = 5,
    **egress: Any,
) -> Webhooks:
    """Those of one process."""
    outbox = Outbox(store, kept_seconds=100, lease_seconds=lease_seconds)
    made = Egress(hosts, client_context(strict=True), seconds=seconds, **egress)
    return Webhooks(Secrets(folder), made, outbox, backoff, look_seconds=0.02)


@asynccontextmanager
async def delivering(*processes: Webhooks) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(each.run()) for each in processes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for each in processes:
            await each.aclose()


async def ended(store: Store, url: str, *, secret: str = "main", answer: str = "42", owner: str = OWNER) -> Record:
    """A run that is over, as its record says; its webhook is in the outbox."""
    records = Records(store, load(None))
    new = new_run()
    new = replace(new, owner=owner, work=replace(new.work, webhook=Webhook(url, secret)))
    run_id = (await records.create(new)).run_id
    claimed = await records.claim(run_id)
    assert claimed is not None
    kept = replace(ANSWER, answer=answer, run_id=run_id, message_id=run_id)
    ending = Ending("succeeded", answer=msgspec.json.encode(kept))
    ending = replace(ending, delivery=delivery(claimed.record, ending))
    await records.write(Write(claimed.claim, first_event=1, events=(b"run.finished {}",), ending=ending))
    record = await records.read(owner, run_id)
    assert record is not None
    return record


async def once(made: Webhooks, record: Record, holds: Callable[[Delivery], object]) -> Delivery:
    """The delivery, as soon as this holds of it."""
    async with asyncio.timeout(20):
        while True:
            [delivery] = await made.deliveries(record)
            if holds(delivery):
                return delivery
            await asyncio.sleep(0.01)


async def settled(made: Webhooks, record: Record, state: str) -> Delivery:
    """The delivery, as soon as it is so."""
    return await once(made, record, lambda delivery: delivery.state == state)

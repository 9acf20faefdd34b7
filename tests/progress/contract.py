"""A server that speaks the contract of runs, in a thread of its own, and breaks connections where a test wants it."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from threading import Event as Flag
from threading import Thread
from typing import Any, Self

from aiohttp import web

Told = tuple[str, Mapping[str, Any]]
"""An event's name and data."""

RUN = "0b7fba2e-92ee-4f9b-bb8a-6c9c0e7d6a11"
STARTED: Told = ("run.started", {"run_id": RUN, "model": "demo"})
FINISHED: Told = ("run.finished", {"answer": "Hello there", "latency_ms": 1500})


def failed(slug: str, detail: str = "It did not work.") -> Told:
    return "run.failed", {"type": f"urn:agent-api:problem:{slug}", "detail": detail}


def token(text: str) -> Told:
    return "token", {"text": text}


def usage(iteration: int = 1) -> Told:
    return "usage", {"usage": {"input_tokens": 300, "output_tokens": 8}, "cost_usd": 0.5, "iteration": iteration}


def tool(call: str = "call_1", **finished: Any) -> Sequence[Told]:
    begun = ("tool.started", {"id": call, "tool": "calculator", "arguments": {"expression": "6*7"}})
    ended = {"id": call, "tool": "calculator", "status": "ok", "latency_ms": 4.0, "error": None, **finished}
    return begun, ("tool.finished", ended)


RunFacts = Mapping[str, Any]


def record(**facts: Any) -> RunFacts:
    moment = "2026-11-30T11:00:00Z"
    begun = {"run_id": RUN, "agent": "default", "status": "running", "created_at": moment, "started_at": moment}
    return {**begun, "start_at": None, "ended_at": None, "crashes": 0, "error": None, "answer": None, **facts}


class Contract:
    """Serves one run with these events. `cuts` is, for each connection in turn, after how many events it breaks;
    `refusals` are answers (status, body, headers) to requests for events before that."""

    def __init__(self, *events: Told, run: RunFacts | None = None) -> None:
        self.events = events
        self.run = run or record()
        self.cuts: list[int] = []
        self.refusals: list[tuple[int, Mapping[str, Any], Mapping[str, str]]] = []
        self.asked: list[tuple[str, str, Mapping[str, str]]] = []
        self.bodies: list[Any] = []
        self.runs: list[RunFacts] = []
        self.batches: list[Mapping[str, Any]] = []
        """What a batch is at each look at it; the last again and again."""
        self.hold = Flag()
        """The stream stays open before its last event until this is set."""
        self.hold.set()
        self._ready = Flag()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_get("/runs/{id}/events", self._send_events)
        app.router.add_get("/runs/{id}", self._tell_run)
        app.router.add_get("/runs", self._list)
        app.router.add_post("/{kind:runs|batches}/{id}/cancel", self._cancel)
        app.router.add_post("/runs", self._create)
        app.router.add_get("/batches/{id}", self._tell_batch)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stopping.wait()
        await runner.cleanup()

    def _saw(self, request: web.Request) -> None:
        self.asked.append((request.method, request.path_qs, dict(request.headers)))

    async def _send_events(self, request: web.Request) -> web.StreamResponse:
        self._saw(request)
        if self.refusals:
            status, body, headers = self.refusals.pop(0)
            return web.json_response(body, status=status, headers=headers)
        after = int(request.headers["Last-Event-ID"])
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b": still here\n\n")
        cut = self.cuts.pop(0) if self.cuts else len(self.events)
        for number, (name, data) in enumerate(self.events, 1):
            if number == len(self.events):
                await asyncio.to_thread(self.hold.wait, 10)
            if after < number <= after + cut:
                await answer.write(f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode())
        if after + cut < len(self.events):
            assert request.transport
            request.transport.abort()
            return answer
        await answer.write(b"data: [DONE]\n\n")
        return answer

    async def _tell_run(self, request: web.Request) -> web.Response:
        self._saw(request)
        if request.match_info["id"] != self.run["run_id"]:
            return web.json_response({"detail": "There is no such run."}, status=404)
        return web.json_response(self.run)

    async def _list(self, request: web.Request) -> web.Response:
        self._saw(request)
        first, most = int(request.query.get("cursor", 0)), int(request.query["limit"])
        following = first + most if first + most < len(self.runs) else None
        return web.json_response(
            {"runs": self.runs[first : first + most], "next": None if following is None else str(following)}
        )

    async def _create(self, request: web.Request) -> web.Response:
        self._saw(request)
        self.bodies.append(await request.json())
        if self.refusals:
            status, body, headers = self.refusals.pop(0)
            return web.json_response(body, status=status, headers=headers)
        return web.json_response({"run_id": RUN, "status": "queued"}, status=202)

    async def _cancel(self, request: web.Request) -> web.Response:
        self._saw(request)
        if self.run["status"] == "succeeded":
            return web.json_response({"detail": "The run is over (succeeded)."}, status=409)
        return web.json_response({"run_id": RUN, "status": "cancelled"}, status=202)

    async def _tell_batch(self, request: web.Request) -> web.Response:
        self._saw(request)
        return web.json_response(self.batches.pop(0) if len(self.batches) > 1 else self.batches[0])

"""The outermost layer: ids, sampling, body limits, headers, the access log. Pure ASGI, one pass over the headers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.entrance import RECEIVED, Entrance
from app.api.instrumentation import count
from app.api.lifecycle import Lifecycle
from app.api.problems import REFUSALS, answer_to, respond
from app.errors import Forbidden, Overloaded, UnsupportedMediaType
from app.ids import new_id
from app.telemetry.context import RequestContext, current
from app.telemetry.logs import log
from app.telemetry.traces import Tracing

PROBES = frozenset({"/live", "/ready", "/health"})
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch
_JSON = re.compile(rb"application/([a-z0-9.-]+\+)?json\s*(;.*)?", re.IGNORECASE).fullmatch
_EXPECTED = (*REFUSALS, ClientDisconnect)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_MALFORMED = frozenset({400, 408, 431})  # whose sender the log names
_NOTHING: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Edge:
    """Wraps two stacks around the same routes: `traced` is entered by requests that are sampled, `plain` by others."""

    plain: ASGIApp
    traced: ASGIApp
    routes: Sequence[BaseRoute]
    cors: CORSMiddleware | None
    tracing: Tracing
    lifecycle: Lifecycle
    max_body_bytes: int
    entrance: Entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.plain(scope, receive, send)
            return
        started = perf_counter()
        headers = dict(scope["headers"])
        probe = scope["path"] in PROBES
        given_id = headers.get(b"x-request-id", b"")
        request_id = given_id.decode() if _SANE_ID(given_id) else new_id()
        traceparent = headers.get(b"traceparent")
        trace_id, sampled = self.tracing.decide(traceparent.decode("latin-1") if traceparent else None)
        sampled = sampled and not probe
        token = current.set(RequestContext(request_id, trace_id, sampled))
        if self.cors is not None and b"origin" in headers:
            send, preflight = self._answer_pages(scope, send, self.cors)
        else:
            preflight = None
        exchange = _Exchange(send, request_id, trace_id, started, self.lifecycle)
        if not probe:
            self.lifecycle.request_started()
        try:
            if preflight is not None:
                await preflight(scope, receive, exchange.send)
            else:
                await self._serve(scope, headers, receive, exchange, sampled=sampled, probe=probe)
        finally:
            if not probe:
                seconds = perf_counter() - started
                self.lifecycle.request_finished()
                count(scope, exchange.status, seconds)
                self.entrance.leave(scope, exchange.status)
                log.info(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=exchange.status,
                    latency_ms=round(seconds * 1000, 2),
                    **(_peer(scope) if exchange.status in _MALFORMED else _NOTHING),
                )
            current.reset(token)

    async def _serve(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        exchange: "_Exchange",
        *,
        sampled: bool,
        probe: bool,
    ) -> None:
        try:
            if not probe:
                if self.lifecycle.overloaded:
                    raise Overloaded("Too many requests are being answered. Try again.", retry_after=1)
                self.entrance.enter(scope)
            self._check(scope, headers)
            if b"content-length" not in headers and scope["method"] in _WITH_BODY:
                receive = self._bounded(scope, receive)
            await (self.traced if sampled else self.plain)(scope, receive, exchange.send)
        except Exception as error:
            if not isinstance(error, _EXPECTED):
                log.exception("request.crashed", method=scope["method"], path=scope["path"])
            if not exchange.status:
                await answer_to(error, scope)(scope, receive, exchange.send)

    @staticmethod
    def _answer_pages(scope: Scope, send: Send, cors: CORSMiddleware) -> tuple[Send, Response | None]:
        """For a page of some origin: what adds the headers that it needs, or the answer to its preflight."""
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            response = cors.preflight_response(headers)
            if response.status_code != 200:
                refused = Forbidden("No page of this origin may send such a request.")
                response = respond(refused, scope["path"], {"Vary": "Origin"})
            return send, response
        return partial(cors.send, send=send, request_headers=headers), None

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raises for what is refused before a byte of the body is read."""
        if scope["method"] not in _WITH_BODY:
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.max_body_bytes:
            raise HTTPException(413, self._too_large)
        if not _JSON(headers.get(b"content-type", b"")) and self._is_served(scope):
            raise UnsupportedMediaType("Send JSON, with the header `Content-Type: application/json`.")

    def _is_served(self, scope: Scope) -> bool:
        """Whether there is such a path with such a method. If not, that is what the caller has to know."""
        return any(route.matches(scope)[0] is Match.FULL for route in self.routes)

    @property
    def _too_large(self) -> str:
        return f"The body may have at most {self.max_body_bytes} bytes."

    def _bounded(self, scope: Scope, receive: Receive) -> Receive:
        """For bodies that come without a length: counts what arrives."""
        left = self.max_body_bytes

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            scope[RECEIVED] = self.max_body_bytes - left
            if left < 0:
                raise HTTPException(413, self._too_large)
            return message

        return bounded


def _peer(scope: Scope) -> dict[str, str]:
    return {"peer": scope["client"][0] if scope["client"] else ""}


class _Exchange:
    """One answer on its way out: adds the headers that every answer has, and notes the status."""

    __slots__ = ("_lifecycle", "_request_id", "_send", "_started", "_trace_id", "status")

    def __init__(self, send: Send, request_id: str, trace_id: str, started: float, lifecycle: Lifecycle) -> None:
        self._send = send
        self._request_id = request_id
        self._trace_id = trace_id
        self._started = started
        self._lifecycle = lifecycle
        self.status = 0  # nothing has been sent

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [
                *message["headers"],
                (b"x-request-id", self._request_id.encode()),
                (b"x-trace-id", self._trace_id.encode()),
            ]
            if (b"content-type", b"text/event-stream") not in headers:
                latency = (perf_counter() - self._started) * 1000
                headers.append((b"x-request-latency", b"%.2f" % latency))
            if self._lifecycle.draining:
                headers.append((b"connection", b"close"))
            message["headers"] = headers
        await self._send(message)

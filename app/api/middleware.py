"""The outermost layer: ids, sampling, body limits, headers, the access log. Pure ASGI, one pass over the headers."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

from msgspec import Struct
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.cors import CrossOrigin
from app.api.entrance import RECEIVED, Entrance
from app.api.failures import REFUSALS, answer_to
from app.api.lifecycle import Lifecycle
from app.api.media_type import check_media_type, is_json_lines
from app.api.prefix import HEADER, Prefixes, route_path
from app.api.request_lines import write_line
from app.api.request_metrics import count
from app.api.served_run import report_of_run
from app.errors import AppError, BodyTooLarge, Overloaded, UnsupportedMediaType
from app.ids import new_id
from app.telemetry.context import RequestContext, current
from app.telemetry.logs import log
from app.telemetry.recording import Exchange
from app.telemetry.scrubbing import without_credentials
from app.telemetry.traces import Tracing

PROBES = frozenset({"/live", "/ready", "/health"})
_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}").fullmatch
_EXPECTED = (*REFUSALS, ClientDisconnect)
_POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True)
class Middleware:
    """Wraps the routes."""

    app: ASGIApp
    authenticate: Callable[[Scope], Awaitable[None]]
    routes: Sequence[BaseRoute]
    cors: CrossOrigin | None
    prefixes: Prefixes | None
    tracing: Tracing
    trusted: Callable[[Scope], bool]
    """Whether a request's sender is believed what it says of the trace that it belongs to."""
    lifecycle: Lifecycle
    max_body_bytes: int
    line_routes: Mapping[str, int]
    """Paths whose routes take JSON lines as well, with the maximum bytes of these: no such body is held whole."""
    entrance: Entrance
    refused: Callable[[Scope, Exception], None]
    """Told of each error that answers a request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._serve_other(scope, receive, send)
            return
        started = perf_counter()
        headers = dict(scope["headers"])
        if self.prefixes is not None:
            scope = self.prefixes.inner(scope, headers.get(HEADER))
        method = scope["method"]
        if method == "HEAD":  # the answer to GET without its body; the server's own scope stays as it is
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        probe = route_path(scope) in PROBES
        given_id = headers.get(b"x-request-id", b"")
        request_id = given_id.decode() if _SANE_ID(given_id) else new_id()
        traceparent = headers.get(b"traceparent")
        believed = traceparent is not None and self.trusted(scope)
        trace_id, sampled = self.tracing.decide(traceparent.decode("latin-1") if traceparent and believed else None)
        recording = None if probe else self.tracing.begin(trace_id, sampled=sampled)
        token = current.set(RequestContext(request_id, trace_id, recording))
        if self.cors is not None and b"origin" in headers:
            send, preflight = self.cors.answer(scope, send)
        else:
            preflight = None
        sender = _Sender(send, request_id, trace_id, started, self.lifecycle)
        if not probe:
            self.lifecycle.request_started()
        try:
            if preflight is not None:
                await preflight(scope, receive, sender.send)
            else:
                await self._serve(scope, headers, receive, sender, probe=probe)
        finally:
            if recording is not None:  # first: metrics have an exemplar where it is kept
                recording.finish(Exchange(scope, sender.status, sender.headers))
            if not probe:
                seconds = perf_counter() - started
                self.lifecycle.request_finished()
                report = report_of_run(scope)
                outcome = "" if report is None else report.outcome
                received = headers.get(b"content-length", b"")
                count(scope, method, sender.status, seconds, outcome, received, sender.length)
                self.entrance.leave(scope, sender.status)
                write_line(scope, method, sender.status, seconds, self.entrance.origin_of(scope).address, report)
            current.reset(token)

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The process's start and end, and WebSockets, which are closed to strangers as any other path is."""
        if scope["type"] == "websocket":
            try:
                await self.authenticate(scope)
            except AppError:
                await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
                return
        await self.app(scope, receive, send)

    async def _serve(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        sender: "_Sender",
        *,
        probe: bool,
    ) -> None:
        try:
            if not probe:
                if self.lifecycle.overloaded:
                    raise Overloaded("Too many requests are being answered. Try again.", retry_after=1)
                self.entrance.enter(scope)
            await self.authenticate(scope)
            self._check(scope, headers)
            if b"content-length" not in headers and scope["method"] in _WITH_BODY:
                receive = self._bounded(scope, receive, self._most_bytes(scope, headers))
            await self.app(scope, receive, sender.send)
        except Exception as error:
            if not isinstance(error, _EXPECTED):
                log.exception("request.crashed", method=scope["method"], path=without_credentials(scope["path"]))
            if "route" not in scope:  # refused before it was routed: metrics tell refusals by route as well
                scope["route"] = self._route_of(scope)
            self.refused(scope, error)
            if not sender.status:
                await answer_to(error, scope)(scope, receive, sender.send)

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raises for what is refused before a byte of the body is read."""
        if scope["method"] not in _WITH_BODY:
            return
        length, most = headers.get(b"content-length", b"0"), self._most_bytes(scope, headers)
        if not length.isdigit() or int(length) > most:
            raise _too_large(most)
        try:
            if headers.get(b"content-type") != b"application/json" or b"content-encoding" in headers:
                check_media_type(headers, lines=route_path(scope) in self.line_routes)
        except UnsupportedMediaType:
            route = self._route_of(scope)
            if getattr(route, "takes_body", False):  # else there is something that the caller has to know first
                raise

    def _route_of(self, scope: Scope) -> BaseRoute | None:
        return next((route for route in self.routes if route.matches(scope)[0] is Match.FULL), None)

    def _most_bytes(self, scope: Scope, headers: Mapping[bytes, bytes]) -> int:
        if headers.get(b"content-type") == b"application/json" or not is_json_lines(headers):
            return self.max_body_bytes
        return self.line_routes.get(route_path(scope), self.max_body_bytes)

    def _bounded(self, scope: Scope, receive: Receive, most: int) -> Receive:
        """Counts the bytes of a body that comes without its length."""
        left = most

        async def bounded() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            scope[RECEIVED] = most - left
            if left < 0:
                raise _too_large(most)
            return message

        return bounded


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have at most {most} bytes.")


def _without_body(send: Send) -> Send:
    async def head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return head


class _Sender(Struct):
    """One answer on its way out: adds the headers that every answer has, and notes the status."""

    _send: Send
    _request_id: str
    _trace_id: str
    _started: float
    _lifecycle: Lifecycle
    status: int = 0  # nothing has been sent
    length: bytes = b""  # of the body, where a header says it
    headers: Sequence[tuple[bytes, bytes]] = ()

    def send(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.length = dict(message["headers"]).get(b"content-length", b"")
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
            message["headers"] = self.headers = headers
        return self._send(message)

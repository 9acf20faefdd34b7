"""Answers to what is refused before it is a request: as bytes, with the log line and the count of any other."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.failures import respond
from app.api.request_metrics import count_refused
from app.errors import AppError
from app.ids import new_id
from app.telemetry.context import RequestContext, current
from app.telemetry.logs import log


def refuse(error: AppError, peer: str) -> bytes:
    """A whole answer that closes its connection."""
    return _answer(error, peer, counted=True)


def refuse_uncounted(error: AppError, peer: str) -> bytes:
    """A whole answer on the metrics port, where requests are not counted."""
    return _answer(error, peer, counted=False)


def _answer(error: AppError, peer: str, *, counted: bool) -> bytes:
    request_id = new_id()
    token = current.set(RequestContext(request_id, ""))
    try:
        response = respond(error, "", {"Connection": "close", "X-Request-Id": request_id})
        log.info("request", status=error.status, latency_ms=0.0, peer=peer, reason=error.detail)
    finally:
        current.reset(token)
    if counted:
        count_refused(error.status)
    head = [STATUS_LINE[error.status], *(b"%b: %b\r\n" % header for header in response.raw_headers), b"\r\n"]
    return b"".join([*head, bytes(response.body)])

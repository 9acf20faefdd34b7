"""HTTP calls to other servers, as spans of their own and with the headers that tie the other server's work to them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from urllib.parse import urlsplit

from msgspec import Struct
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind
from opentelemetry.util.types import AttributeValue

from app.errors import ModelError
from app.telemetry import conventions
from app.telemetry.failing import fail_by
from app.telemetry.propagation import trace_headers
from app.telemetry.recorded_spans import RecordedSpan, sent_before
from app.telemetry.traces import Tracing

_PORTS = {"http": 80, "https": 443}
_FIRST_ERROR = 400


class Target(Struct, frozen=True):
    """What is called: a method and a URL."""

    method: str
    url: str
    attributes: Mapping[str, AttributeValue]
    told: bool


class Outgoing:
    """Opens the calls of one process."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._target = lru_cache(maxsize=128)(self._look_at)

    def call(self, method: str, url: str) -> "OutgoingCall":
        """For `with`, around everything from sending the request to the end of the answer."""
        return OutgoingCall(self._tracing, self._target(method, url))

    def _look_at(self, method: str, url: str) -> Target:
        parts = urlsplit(url)
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        try:
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:  # what nothing can be sent to is for the client to say
            port = 0
        attributes: Mapping[str, AttributeValue] = {
            conventions.HTTP_METHOD: method,
            conventions.SERVER_ADDRESS: parts.hostname or "",
            conventions.SERVER_PORT: port,
            conventions.URL_FULL: shown,
        }
        return Target(method, shown, attributes, self._tracing.propagation.tells(url))


def _attributes(target: Target) -> Mapping[str, AttributeValue]:
    return target.attributes


class OutgoingCall:
    """One request and its answer."""

    __slots__ = ("_failed", "_scope", "_target", "_tracing", "span")

    def __init__(self, tracing: Tracing, target: Target) -> None:
        self._tracing = tracing
        self._target = target
        self._failed = False
        self.span: Span = INVALID_SPAN

    def __enter__(self) -> "OutgoingCall":
        target = self._target
        self._scope: AbstractContextManager[Span] = self._tracing.span(
            target.method, _attributes, target, SpanKind.CLIENT
        )
        self.span = span = self._scope.__enter__()
        if isinstance(span, RecordedSpan) and (before := sent_before(span, target.url)):
            span.set_attribute(conventions.HTTP_RESEND_COUNT, before)
        return self

    @property
    def headers(self) -> Mapping[str, str]:
        """To be sent with the request; none where the host is not told of requests."""
        return trace_headers() if self._target.told else {}

    def answered(self, status: int) -> None:
        """Note the status of the answer."""
        if self.span.is_recording():
            self.span.set_attribute(conventions.HTTP_STATUS, status)
            if status >= _FIRST_ERROR:
                self._fail(str(status))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, stack: object) -> None:
        if error is not None and not self._failed and self.span.is_recording():
            self._fail(error.reason if isinstance(error, ModelError) else type(error).__name__)
        self._scope.__exit__(None, None, None)

    def _fail(self, kind: str) -> None:
        self._failed = True
        fail_by(self.span, kind)

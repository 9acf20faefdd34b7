"""The headers that tie what another server does to the request being served, for servers that the operator names."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from opentelemetry import trace

from app.telemetry.context import current
from app.telemetry.late_spans import current_record
from app.telemetry.recorded_spans import RecordedSpan
from app.urls import HostSet, host_of

if TYPE_CHECKING:  # half of the time that the process of a tool takes to start
    from app.settings import Settings

_NONE: Mapping[str, str] = {}
_ZERO = "0" * 16  # is no span's id
_PUBLIC = ("api.openai.com", "api.anthropic.com")


class Propagation:
    """Who is told of requests: these hosts, and all below those that begin with a dot."""

    def __init__(self, hosts: Sequence[str] = ()) -> None:
        self._hosts = HostSet(hosts)

    def tells(self, url: str) -> bool:
        """Whether the URL's host is told of requests."""
        return host_of(url) in self._hosts

    def headers(self, url: str) -> Mapping[str, str]:
        """The headers for a call of this URL; none where its host is not told, and outside of a request."""
        return trace_headers() if self.tells(url) else _NONE


NOBODY = Propagation()


def hosts_of(settings: "Settings") -> tuple[str, ...]:
    """TRACE_HOSTS, and the model servers that are the operator's own: not the public ones of OpenAI and Anthropic."""
    servers = (host_of(settings.ollama_api_base), host_of(settings.openai_base_url))
    own = [host for host in servers if not any(host == public or host.endswith(f".{public}") for public in _PUBLIC)]
    return (*own, *settings.trace_hosts)


def trace_headers() -> Mapping[str, str]:
    """`traceparent` and `X-Request-Id`, none outside of a request.

    The parent is the current span. A request that keeps no records has none: half of its trace id stands for one.
    Neither a caller's baggage nor its tracestate is passed on.
    """
    parent = traceparent()
    return {"traceparent": parent, "X-Request-Id": current.get().request_id} if parent else _NONE


def traceparent() -> str:
    """Of the request's current span, as W3C Trace Context has it; empty outside of a request."""
    request = current.get()
    trace_id = request.trace_id
    if not trace_id:
        return ""
    if (recording := request.recording) is not None:
        span = trace.get_current_span() if recording.sampled else current_record.get()
        if isinstance(span, RecordedSpan):
            return f"00-{trace_id}-{span.id:016x}-{'01' if recording.sampled else '00'}"
        if span is not None and (library := span.get_span_context()).is_valid:
            return f"00-{library.trace_id:032x}-{library.span_id:016x}-{library.trace_flags.sampled:02x}"
    half = trace_id[16:]
    return f"00-{trace_id}-{trace_id[:16] if half == _ZERO else half}-00"

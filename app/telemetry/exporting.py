"""Exports spans in batches and accounts for each: exported, or dropped for a reason. Loaded only when tracing is on."""

from collections.abc import Sequence
from threading import Lock, Thread

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from app.telemetry.known_series import DROP_REASONS
from app.telemetry.metrics import TELEMETRY_DROPPED, TELEMETRY_EXPORTED

_SIGNAL = "traces"
_EXPORTED = TELEMETRY_EXPORTED.labels(_SIGNAL)
_DROPPED = {reason: TELEMETRY_DROPPED.labels(_SIGNAL, reason) for reason in DROP_REASONS}
_ABORT_SECONDS = 0.2


class Account:
    """What became of the spans that were made. A span waits from its end until its export is over.

    Safe in threads. Nothing changes once it is closed: what was waiting then is dropped.
    """

    def __init__(self, most_waiting: int) -> None:
        self.made = 0
        self.exported = 0
        self.dropped = dict.fromkeys(DROP_REASONS, 0)
        self._most = most_waiting
        self._queued = 0
        self._exporting = 0
        self._lock = Lock()
        self._leaving = False
        self._closed = False

    def admit(self) -> bool:
        """Count a span that was made. False if it has to be dropped, which is counted, too."""
        with self._lock:
            self.made += 1
            if self._leaving or self._queued >= self._most:
                self._drop("shutdown" if self._leaving else "queue_full", 1)
                return False
            self._queued += 1
            return True

    def begin(self, spans: int) -> None:
        """So many leave the queue."""
        with self._lock:
            self._queued -= spans
            self._exporting += spans

    def end(self, spans: int, *, success: bool) -> None:
        """So many, that had left the queue, have reached the collector or not."""
        with self._lock:
            if self._closed:
                return
            self._exporting -= spans
            if success:
                self.exported += spans
                _EXPORTED.inc(spans)
            else:
                self._drop("shutdown" if self._leaving else "export_failed", spans)

    def leave(self) -> None:
        """From now on what is not exported is dropped because of the shutdown."""
        with self._lock:
            self._leaving = True

    def close(self) -> None:
        """Drop what still waits."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._drop("shutdown", self._queued + self._exporting)

    def _drop(self, reason: str, spans: int) -> None:
        self.dropped[reason] += spans
        _DROPPED[reason].inc(spans)


class CountedExporter(SpanExporter):
    """Exports through another exporter, and keeps the account."""

    def __init__(self, exporter: SpanExporter, account: Account) -> None:
        self._exporter = exporter
        self._account = account
        self._aborted = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._account.begin(len(spans))
        result = SpanExportResult.FAILURE
        try:
            if not self._aborted:
                result = self._exporter.export(spans)
        finally:
            self._account.end(len(spans), success=result is SpanExportResult.SUCCESS)
        return result

    def abort(self) -> None:
        """Export nothing more, and do not try again what is being exported."""
        self._aborted = True
        self._exporter.shutdown()

    def shutdown(self) -> None:
        if not self._aborted:
            self._exporter.shutdown()


class CountedProcessor(BatchSpanProcessor):
    """The SDK's processor with an account: by itself it drops silently when its queue is full.

    Here the newest spans are dropped then, so that those from before an outage of the collector are kept.
    """

    def __init__(self, exporter: SpanExporter, most_waiting: int) -> None:
        """Raises ValueError for sizes that contradict each other, OTEL_BSP_MAX_EXPORT_BATCH_SIZE among them."""
        self.account = Account(most_waiting)
        self._counted = CountedExporter(exporter, self.account)
        super().__init__(self._counted, most_waiting)

    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled and self.account.admit():
            super().on_end(span)

    def finish(self, seconds: float) -> Account:
        """Export what is left, for so many seconds and little more, and return the account, which is closed.

        The SDK's own shutdown waits for the collector for up to half a minute: what it still does then is aborted.
        """
        self.account.leave()
        flushing = Thread(target=self.shutdown, name="traces-flush", daemon=True)
        flushing.start()
        flushing.join(seconds)
        if flushing.is_alive():
            Thread(target=self._counted.abort, name="traces-abort", daemon=True).start()
            flushing.join(_ABORT_SECONDS)
        self.account.close()
        return self.account

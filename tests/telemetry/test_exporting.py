"""Every span that was made is exported or dropped for a reason, whatever the exporter does, and only once."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from app.telemetry.exporting import Account, CountedProcessor

ACTS = st.lists(st.sampled_from(["admit", "admit", "begin", "ok", "failed", "leave"]), max_size=60)


class Fickle(SpanExporter):
    """Takes every third batch, refuses one and breaks at one."""

    def __init__(self) -> None:
        self.calls = 0
        self.taken = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.calls += 1
        if self.calls % 3 == 1:
            raise ConnectionResetError
        if self.calls % 3 == 2:
            return SpanExportResult.FAILURE
        self.taken += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Has nothing to close."""


class Stuck(SpanExporter):
    """Waits for its collector until it is shut down."""

    def __init__(self) -> None:
        self._down = Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._down.wait(30)
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._down.set()


@given(acts=ACTS)
def test_the_account_is_even_at_every_moment_and_closed_at_the_end(acts: list[str]) -> None:
    account = Account(most_waiting=5)
    queued = exporting = 0
    for act in acts:
        if act == "admit":
            queued += account.admit()
        elif act == "begin":
            account.begin(queued)
            queued, exporting = 0, exporting + queued
        elif act == "leave":
            account.leave()
        else:
            account.end(exporting, success=act == "ok")
            exporting = 0
        assert account.made == account.exported + sum(account.dropped.values()) + queued + exporting
        assert queued <= 5
    account.close()
    account.end(exporting, success=True)
    account.close()
    assert account.made == account.exported + sum(account.dropped.values())


@pytest.mark.filterwarnings("ignore")
def test_spans_that_end_in_many_threads_are_all_accounted_for() -> None:
    exporter = Fickle()
    processor = CountedProcessor(exporter, 600)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")

    def end_some(_: int) -> None:
        for _ in range(500):
            tracer.start_span("one").end()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(end_some, range(8)))
    account = processor.finish(5)
    assert account.made == 4000
    assert account.exported == exporter.taken
    assert account.made == account.exported + sum(account.dropped.values())
    tracer.start_span("late").end()
    assert account.made == account.exported + sum(account.dropped.values()) == 4001


def test_an_export_that_hangs_is_aborted_and_counted() -> None:
    processor = CountedProcessor(Stuck(), 600)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    for _ in range(700):
        provider.get_tracer("test").start_span("one").end()
    started = time.monotonic()
    account = processor.finish(0.2)
    assert time.monotonic() - started < 10
    assert account.exported == 0
    assert sum(account.dropped.values()) == account.made == 700

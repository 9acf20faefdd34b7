"""Exemplars: the trace that a measurement was taken in, for those who look at a metric and want a case of it."""

from app.telemetry.context import current


def exemplar() -> dict[str, str] | None:
    """The current request's trace, for `observe` and `inc`; None unless its spans are kept."""
    recording = current.get().recording
    return None if recording is None or not recording.will_be_exported else {"trace_id": recording.trace_id}

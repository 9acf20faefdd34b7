"""Exemplars: the trace that a measurement was taken in, for those who look at a metric and want a case of it."""

from app.telemetry.context import current


def exemplar() -> dict[str, str] | None:
    """The current request's trace, for `observe` and `inc`; None unless its spans are kept."""
    context = current.get()
    kept = context.sampled or (context.late is not None and context.late.will_be_kept)
    return {"trace_id": context.trace_id} if kept else None

"""Exemplars: the trace that a measurement was taken in, for those who look at a metric and want a case of it."""

from app.telemetry.context import current


def exemplar() -> dict[str, str] | None:
    """The current request's trace, for `observe` and `inc`; None unless its spans are kept."""
    context = current.get()
    return {"trace_id": context.trace_id} if context.sampled else None

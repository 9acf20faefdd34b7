"""How a span tells that something failed."""

from opentelemetry.trace import Span, Status, StatusCode

from app.errors import AppError


def fail(span: Span, error: BaseException) -> None:
    """Mark a span as failed by the error's kind; its words may hold what users said and stay out of traces."""
    kind = error.slug if isinstance(error, AppError) else type(error).__name__
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, kind))

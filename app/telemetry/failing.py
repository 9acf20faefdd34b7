"""How a span tells that something failed."""

from opentelemetry.trace import Span, Status, StatusCode

from app.errors import AppError
from app.telemetry.conventions import ERROR_TYPE


def fail(span: Span, error: BaseException) -> None:
    """Mark a span as failed by the error's kind; its words may hold what users said and stay out of traces."""
    fail_by(span, error.slug if isinstance(error, AppError) else type(error).__name__)


def fail_by(span: Span, kind: str) -> None:
    """Mark a span as failed by this kind of error."""
    span.set_attribute(ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR, kind))

"""Whether spans are as the table of conventions has them."""

from app.telemetry.conventions import OPERATION, SHAPES, Shape
from tests.telemetry.collector import Span


def shape_of(span: Span) -> Shape:
    """By its operation; HTTP spans by their kind, and an iteration by its name."""
    return SHAPES[span.attributes.get(OPERATION) or (span.kind if span.kind in ("server", "client") else span.name)]


def check(span: Span) -> None:
    """Its attributes, its events and theirs are in the table, and all that it has to have are there."""
    shape, names = shape_of(span), set(span.attributes)
    further = {name for name in names - shape.required - shape.optional if not name.startswith(shape.prefixes or "\0")}
    assert not further, f"{span.name}: {further} are in no table"
    assert shape.required <= names, f"{span.name}: {shape.required - names} are missing"
    for event, attributes in span.events:
        assert set(attributes) <= shape.events[event], f"{span.name}, {event}: {attributes}"

"""TRACE_DIALECTS: the names by which other tools know the same facts, added to spans when they are exported.

`otel` stands for OpenTelemetry's own `gen_ai.*`, which are left out where it is not named. Names of spans, `http.*`,
`error.type` and `agent.*` are always there. A tool that adds up what all spans say would count a run's tokens twice,
once on its model calls and once on the run itself: beside these dialects, only the model calls tell tokens and model.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from opentelemetry.util.types import AttributeValue

from app.telemetry import conventions

Attributes = Mapping[str, AttributeValue]
Translate = Callable[[Attributes], Attributes]

_OF_CALLS = ("gen_ai.usage.", conventions.REQUEST_MODEL, conventions.RESPONSE_MODEL)


def translator(names: Sequence[str]) -> Translate | None:
    """A span's attributes in these dialects, from those that it was given; None if that changes nothing."""
    if tuple(names) == ("otel",):
        return None
    added = [import_module(f"{__name__}.{name}").attributes for name in dict.fromkeys(names) if name != "otel"]
    own = "otel" in names

    def translate(given: Attributes) -> Attributes:
        shown: dict[str, AttributeValue] = {}
        for translated in added:
            shown.update(translated(given))
        of_run = given.get(conventions.OPERATION) == conventions.INVOKE_AGENT
        for name, value in given.items():
            if name.startswith("gen_ai.") and not (own and not (of_run and name.startswith(_OF_CALLS))):
                continue
            shown[name] = value
        return shown

    return translate

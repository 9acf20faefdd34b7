"""The README's examples, compared with what the service answers."""

import re

ANYTHING = "…"


VOLATILE = [  # what differs from run to run
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\b(call_)?[0-9a-f]{32}\b"), "HEX"),
    (re.compile(r'("(?:latency_ms|created_at|updated_at|uptime_seconds|last_ok_seconds)": ?)[0-9.e+-]+'), r"\1N"),
    (re.compile(r'("(?:input_tokens|output_tokens|tokens_used|tokens|calls)": ?)[0-9]+'), r"\1N"),
    (re.compile(r'("day": ?)"[0-9-]+"'), r"\1D"),
    (re.compile(r'("version": ?)"[^"]*"'), r"\1V"),
]


def normal(text: str) -> str:
    """Without what is volatile, and without the spaces that formatting adds."""
    for pattern, name in VOLATILE:
        text = pattern.sub(name, text)
    return re.sub(r"\s+", "", text)


def matches(shown: str, got: str) -> bool:
    parts = [re.escape(part) for part in normal(shown).split(ANYTHING)]
    return re.fullmatch(".*".join(parts), normal(got)) is not None

"""Log lines and spans, as they are written where a process redacts."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.telemetry.lines import Lines, Rendered, line
from app.telemetry.scrubbing import redact_with
from tests.redaction.redactors import default_redactor

CARD = "4111 1111 1111 1111"


@pytest.fixture
def out() -> Iterator[io.BytesIO]:
    redact_with(default_redactor())
    yield io.BytesIO()
    redact_with(None)


def _written(out: io.BytesIO, *lines: Any) -> list[Any]:
    writer = Lines(out)
    for each in lines:
        writer.add(each)
    writer.flush()
    return [json.loads(each) for each in out.getvalue().splitlines()]


def test_a_secret_in_a_field_is_taken_out_and_the_other_lines_stay(out: io.BytesIO) -> None:
    first, second = _written(
        out, line("info", "said", {"content": f"see:\n{CARD}", "n": 4111111111111111}), line("info", "other", {"a": 1})
    )
    assert first["content"] == "see:\n[redacted: card]"
    assert first["n"] == 4111111111111111
    assert (first["event"], first["level"], second["a"]) == ("said", "info", 1)


def test_a_field_that_is_named_like_a_secret_counts_by_its_name(out: io.BytesIO) -> None:
    [written] = _written(out, line("info", "said", {"arguments": {"password": "hunter2-Sommer"}, "run_id": CARD}))
    assert written["arguments"] == {"password": "[redacted: secret]"}
    assert written["run_id"] == CARD


def test_a_line_for_a_terminal_is_clean_too(out: io.BytesIO) -> None:
    writer = Lines(out)
    writer.add(Rendered("info", f"said content={CARD}".encode()))
    writer.flush()
    assert out.getvalue() == b"said content=[redacted: card]\n"


def test_of_lines_that_cannot_be_looked_at_only_their_events_are_written(
    out: io.BytesIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of scratch space")

    monkeypatch.setattr(default_redactor()._scan._scanner, "candidates", broken)
    [written] = _written(out, line("info", "said", {"content": CARD}))
    assert written["event"] == "said"
    assert "content" not in written

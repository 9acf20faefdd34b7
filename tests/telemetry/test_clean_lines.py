"""Log lines and spans, as they are written where a process redacts."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ids import new_id
from app.telemetry.clean_lines import LineCleaner, _clean_line
from app.telemetry.lines import Line, Lines, Rendered, line, written_of
from app.telemetry.scrubbing import redact_with
from tests.redaction.redactors import default_redactor

CARD = "4111 1111 1111 1111"


@pytest.fixture
def out() -> Iterator[io.BytesIO]:
    redact_with(default_redactor())
    yield io.BytesIO()
    redact_with(None)


class _Own(str):
    __slots__ = ()


NAMES = ["content", "password", "api_key", "error", "run_id", "agent"]
TEXTS = st.one_of(
    st.text(max_size=9), st.sampled_from([CARD, f"see {CARD}", "hunter2-Sommer", "4111 1111", "1111 1111"])
)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.none(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)


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


@pytest.mark.parametrize(
    "value",
    [
        {"seen": [{"deep": CARD}]},
        [f"is {CARD}"],
        {CARD: 1},
        Path(f"/{CARD}/x"),
        ValueError(CARD),
        _Own(CARD),
        f"\ud800 {CARD}",
        {"said": f'quoted "{CARD}"'},
        (None, CARD),
    ],
)
def test_a_secret_is_found_in_every_kind_of_value(out: io.BytesIO, value: object) -> None:
    writer = Lines(out)
    writer.add(line("info", "said", {"n": 1, "run_id": "7", "of": value, "ok": True}))
    writer.flush()
    assert CARD.encode() not in out.getvalue()
    assert b"[redacted: card]" in out.getvalue()


def test_a_secret_in_an_event_is_taken_out(out: io.BytesIO) -> None:
    [written] = _written(out, line("error", f"a library says {CARD}", {}))
    assert written["event"] == "a library says [redacted: card]"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5), min_size=1, max_size=4))
def test_lines_are_cleaned_wherever_cleaning_them_one_by_one_would_take_something_out(fields: list[Any]) -> None:
    redactor = default_redactor()
    lines: list[Line | Rendered] = [line("info", "said", each) for each in fields]
    one_by_one = [_clean_line(redactor, each) for each in lines]
    changed = [json.loads(written_of([each])) for each in one_by_one] != [
        json.loads(written_of([each])) for each in lines
    ]
    cleaner = LineCleaner(redactor)
    assert (cleaner.clean(lines) is not None) >= changed
    assert (cleaner.clean(lines) is not None) >= changed, "where it has seen them before"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5), min_size=1, max_size=4))
def test_what_was_seen_before_says_nothing_of_other_lines(fields: list[Any]) -> None:
    seen = LineCleaner(default_redactor())
    for each in fields:
        said = line("info", "said", each)
        assert (seen.clean([said]) is None) == (LineCleaner(default_redactor()).clean([said]) is None)


def test_lines_that_were_seen_before_are_not_scanned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaner, scans = LineCleaner(default_redactor()), Counter[str]()
    scan = default_redactor()._scan._scanner.candidates

    def counted(data: bytes) -> Any:
        scans["scans"] += 1
        return scan(data)

    monkeypatch.setattr(default_redactor()._scan._scanner, "candidates", counted)
    for number in range(3):
        fields = {"run_id": f"r{number}", "agent": "default", "ms": 0.5 + number, "model": None}
        assert cleaner.clean([line("info", "request", fields)]) is None
    assert scans["scans"] == 1
    assert cleaner.clean([line("info", "request", {"run_id": "r", "agent": "default", "ms": CARD, "model": None})])


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


def test_an_id_that_a_caller_chose_is_looked_at_and_one_of_ours_stays() -> None:
    key = "".join(("gsk_", "8f3Kd9Qm2XbV8LpR4TzN6WcJ1HsY5GaE", "Zx81Lk2mNv93Qw7eRt55"))
    said = line("info", "said", {"session_id": key, "run_id": new_id()})
    cleaned = LineCleaner(default_redactor()).clean([said])
    assert cleaned is not None
    fields = json.loads(written_of(cleaned))
    assert (fields["session_id"], fields["run_id"]) == ("[redacted: groq-key]", said[4]["run_id"])
    assert LineCleaner(default_redactor()).clean([line("info", "said", {"session_id": new_id()})]) is None

"""What tools return, made fit for models and JSON."""

import enum
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.tools.output import clean, render


class Model(BaseModel):
    x: int
    at: datetime


@dataclass
class Data:
    x: int


class Struct(msgspec.Struct):
    x: int


class Color(enum.StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is\n", "as it is\n"),
        ("", ""),
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (2**100, "1267650600228229401496703205376"),
        (0.5, "0.5"),
        (float("nan"), "nan"),
        ({"a": float("-inf")}, '{"a":"-inf"}'),
        ([1, (2, 3)], "[1,[2,3]]"),
        ({1: "x", None: 2, (1, 2): 3}, '{"1":"x","null":2,"[1,2]":3}'),
        (b"bytes", "bytes"),
        ([b"\xff"], '["\ufffd"]'),
        (Model(x=1, at=datetime(2026, 1, 2, tzinfo=UTC)), '{"x":1,"at":"2026-01-02T00:00:00Z"}'),
        ([Data(1)], '[{"x":1}]'),
        ({"s": Struct(1)}, '{"s":{"x":1}}'),
        (Color.RED, "red"),
        ([Color.RED], '["red"]'),
        (Decimal("1.10"), "1.10"),
        ({"é": "日本"}, '{"é":"日本"}'),
        ("nul \0 here", "nul \ufffd here"),
        (["nul \0", {"\0": "\ud800"}], '["nul \ufffd",{"\ufffd":"\ufffd"}]'),
        ("lone \udc00\ud800 pair \ud83d\ude00", "lone \ufffd\ufffd pair 😀"),
    ],
)
def test_values_are_shown_as_text_or_json(value: Any, text: str) -> None:
    output = render(value, 1000)
    assert output.text == text
    json.dumps(output.result, allow_nan=False).encode()
    msgspec.json.encode(output.result)


@pytest.mark.parametrize(
    "value", [object(), [object()], {"a": open}, lambda: 1], ids=["object", "list", "dict", "function"]
)
def test_what_has_no_json_form_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        render(value, 1000)


def test_what_contains_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="contains itself"):
        render(value, 1000)


def test_output_at_the_limit_is_whole() -> None:
    assert render("x" * 10, 10).text == "x" * 10


def test_output_over_the_limit_is_cut_with_a_note_of_the_original_length() -> None:
    output = render("x" * 1_000_000, 10)
    assert output.text == "xxxxxxxxxx\n[cut: the first 10 of 1000000 characters]"
    assert output.result == output.text


def test_json_over_the_limit_is_cut_too_and_the_result_is_no_larger() -> None:
    output = render(list(range(100_000)), 20)
    assert output.text == "[0,1,2,3,4,5,6,7,8,9\n[cut: the first 20 of 588891 characters]"
    assert output.result == output.text


@given(st.text(alphabet=st.characters()))
def test_clean_text_has_a_utf8_form_and_no_nul(text: str) -> None:
    cleaned = clean(text)
    assert "\0" not in cleaned.encode().decode()
    if "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text):
        assert cleaned == text


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters()) | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet=st.characters()) | st.integers(), inner),
)


@given(ANY_VALUE, st.integers(1, 200))
def test_whatever_is_returned_can_be_sent_as_json(value: Any, limit: int) -> None:
    output = render(value, limit)
    json.dumps(output.result, allow_nan=False).encode()
    assert len(output.text) <= limit + 80

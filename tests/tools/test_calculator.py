"""Arithmetic: right against Python's own, and harmless whatever is asked."""

import math
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.tools import ToolError
from app.tools.built_in.arithmetic import MAX_BITS, show
from app.tools.built_in.calculator import calculator
from app.tools.built_in.expression import MAX_CHARS, evaluate

HASTE_SECONDS = 0.1
"""Of processor time, and generous: the slowest of these takes a few milliseconds."""


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("1+2*3", "7"),
        ("(1 + 2) * 3", "9"),
        ("-2**2", "-4"),
        ("2**-1", "0.5"),
        ("2^3^2", "512"),
        ("--2", "2"),
        ("7 // -2", "-4"),
        ("-7 % 3", "2"),
        ("10 / 4", "2.5"),
        ("10 / 5", "2"),
        ("1_000 + .5 + 5.", "1005.5"),
        ("007", "7"),
        ("2e3", "2000"),
        ("1,234,567.5 * 2", "2469135"),
        ("(1,000) + max(1,000)", "1001"),
        ("max((1,000), 5)", "1000"),
        ("6 \N{MULTIPLICATION SIGN} 7 ÷ 2 \N{MINUS SIGN} 1", "20"),
        ("3 · 4", "12"),
        ("\n1 +\t1 ", "2"),
        ("PI", "3.14159265358979"),
        ("2π", None),
        ("cos(π)", "-1"),
        ("0.1 + 0.2", "0.3"),
        ("1/3", "0.333333333333333"),
        ("1e-7", "0.0000001"),
        ("1e-12", "1e-12"),
        ("1e20 * 1.5", "150000000000000000000"),
        ("1e21 * 1.5", "1.5e+21"),
        ("0 * -1.0", "0"),
        ("2**100", "1267650600228229401496703205376"),
        ("10**30 + 1", "1" + "0" * 29 + "1"),
        ("sqrt(16)", "4"),
        ("sqrt(10**400)", "1" + "0" * 200),
        ("sqrt(2)", "1.4142135623731"),
        ("round(2.567, 2)", "2.57"),
        ("round(1234, -2)", "1200"),
        ("round(2.5)", "2"),
        ("floor(-1.5) + ceil(1.2) + trunc(2.9)", "2"),
        ("factorial(20)", "2432902008176640000"),
        ("min(3, 1, 2) + sum(1, 2)", "4"),
        ("log(e) + ln(1) + log10(1000) + log2(8) + log(8, 2)", "10"),
        ("gcd(12, 18) + lcm(4, 6)", "18"),
        ("pow(2, 10) + abs(-1)", "1025"),
        ("degrees(radians(90))", "90"),
    ],
)
async def test_expressions_as_people_write_them(expression: str, answer: str | None) -> None:
    if answer is None:
        with pytest.raises(ToolError):
            await calculator(expression)
    else:
        assert await calculator(expression) == answer


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("9**9**9", "too large"),
        ("10**10**10", "too large"),
        ("(-9)**(9**9)", "too large"),
        ("2**10001", "too large"),
        ("*".join(["9**3000"] * 100), "too large"),
        ("2.0**10000", "too large"),
        ("1e308*10", "too large"),
        ("1e999", "too large"),
        ("1e308*10-1e308*10", "too large"),
        ("10**400+0.5", "too large"),
        ("exp(1000)", "too large"),
        ("pow(9, 9**9)", "too large"),
        ("factorial(10**9)", "0 to 1000"),
        ("factorial(1001)", "0 to 1000"),
        ("factorial(-1)", "0 to 1000"),
        ("factorial(2.5)", "0 to 1000"),
        ("factorial(factorial(factorial(9)))", "0 to 1000"),
        ("round(1, -10**9)", "small integer"),
        ("round(1.5, 2**2000)", "small integer"),
        ("round(1.5, 0.5)", "small integer"),
        ("1/0", "zero"),
        ("1//0", "zero"),
        ("1 % 0.0", "zero"),
        ("0**-1", "zero"),
        ("log(5, 1)", "zero"),
        ("(-8)**0.5", "real"),
        ("sqrt(-1)", "not defined"),
        ("log(0)", "not defined"),
        ("asin(2)", "not defined"),
        ("gcd(1.5, 2)", "whole"),
        ("(" * 400 + "1" + ")" * 400, "nested"),
        ("-" * 900 + "1", "nested"),
        ("2**" * 300 + "1", "nested"),
        ("sqrt(" * 100 + "1" + ")" * 100, "nested"),
        ("1+" * 600 + "1", "characters"),
        ("9" * 1_000_000, "characters"),
        ("nan", "Unknown name 'nan'"),
        ("inf", "Unknown name 'inf'"),
        ("1j", "'j'"),
        ("2(3)", "expected a number or an operator"),
        ("2 3", "expected a number or an operator"),
        ("", "the end"),
        ("1 +", "the end"),
        ("(1", r"Expected '\)'"),
        ("1)", r"'\)'"),
        ("sqrt 4", r"Expected '\('"),
        ("sqrt()", "expected a number"),
        ("sqrt(1, 2)", "does not take 2"),
        ("max(1", r"Expected '\)'"),
        ("1,5", "comma"),
        ("12,34", "comma"),
        ("1,2345", "comma"),
        ("1 << 2", "Cannot read '<< 2'"),
        ("2 & 3", "Cannot read"),
        ("x = 1", "Cannot read '= 1'"),
        ("1 if 1 else 2", "'if'"),
        ("'a' * 100000", "Cannot read"),
        ("[1] * 10", "Cannot read"),
        ("__import__('os')", "Cannot read"),
        ("().__class__", "Cannot read"),
        ("max.__globals__", "Cannot read|Expected"),
        ("lambda: 1", "Cannot read"),
        ("1\0", "Cannot read"),
        ("\ud800", "Cannot read"),
        ("٣ + 1", "Cannot read"),
    ],
)
def test_what_cannot_be_computed_is_said_at_once(expression: str, complaint: str) -> None:
    start = time.process_time()
    with pytest.raises(ToolError, match=complaint) as caught:
        evaluate(expression)
    assert time.process_time() - start < HASTE_SECONDS
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "expression",
    [
        "factorial(1000)%7+" * 55 + "1",
        "9**3000%7+" * 99 + "1",
        "sqrt(9**3000)+" * 71 + "1",
        "1+" * 499 + "1",
        "(" * 49 + "1" + ")" * 49,
        "1**(2**9999)",
        "max(" + "1," * 490 + "1)",
    ],
)
def test_the_most_that_is_allowed_is_quick_too(expression: str) -> None:
    assert len(expression) <= MAX_CHARS
    start = time.process_time()
    show(evaluate(expression))
    assert time.process_time() - start < HASTE_SECONDS


NUMBERS = st.integers(0, 1000).map(str) | st.floats(0.001, 1000).map(lambda x: format(x, ".6f"))


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sign = st.sampled_from([" + ", "-", "*", " / ", "//", "%"])
    return st.one_of(
        st.tuples(inner, sign, inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(NUMBERS, st.integers(-3, 3)).map(lambda pair: f"{pair[0]}**{pair[1]}"),
        st.tuples(st.sampled_from(["abs({})", "round({}, 2)", "floor({})", "max(1, {})"]), inner).map(
            lambda pair: pair[0].format(pair[1])
        ),
    )


EXPRESSIONS = st.recursive(NUMBERS, combined, max_leaves=12).filter(lambda text: len(text) <= MAX_CHARS)


@given(EXPRESSIONS)
@example("-2**2")
@example("2**-1")
def test_values_are_those_of_python(expression: str) -> None:
    names: dict[str, Any] = {"__builtins__": {"abs": abs, "round": round, "max": max}, "floor": math.floor}
    try:
        expected = eval(expression, names)
    except (ZeroDivisionError, OverflowError):
        with pytest.raises(ToolError):
            evaluate(expression)
        return
    value = evaluate(expression)
    assert value == expected
    assert type(value) is type(expected)


@given(st.integers(-(2**MAX_BITS) + 1, 2**MAX_BITS - 1), st.sampled_from(["+", "-", "//", "%"]), st.integers())
def test_integers_are_exact(left: int, sign: str, right: int) -> None:
    text = f"{left}{sign}({right})"
    if len(text) <= MAX_CHARS and not (sign in "//%" and right == 0):
        assert show(evaluate(text)) == str(eval(text))


@given(st.floats(-1e308, 1e308))
def test_a_float_is_shown_to_fifteen_digits_as_a_plain_number(number: float) -> None:
    shown = show(number)
    assert math.isclose(float(shown), number, rel_tol=1e-14)
    assert shown != "-0"
    if number == 0 or 1e-9 <= abs(number) < 1e21:
        assert "e" not in shown


@given(
    st.lists(
        st.sampled_from([*"0123456789.+-*/%^(), ", "**", "//", "e", "pi", "factorial(", "sqrt(", "max(", "9**9"])
        | st.text(max_size=3),
        max_size=60,
    ).map("".join)
)
def test_any_text_gives_a_number_or_a_tool_error(text: str) -> None:
    try:
        answer = show(evaluate(text))
    except ToolError:
        return
    assert set(answer) <= set("-0123456789.e+")
    assert len(answer) < 4_000

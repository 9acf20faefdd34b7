"""An approval is for one call of one run, exactly as it was shown."""

import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from app.safety.binding import binding_of, definition_of
from app.tools.tool import tool

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(st.text("abc", max_size=2), JSON, max_size=3)


@dataclass(frozen=True)
class Most:
    """A rule that is a value."""

    most: int

    def check(self, value: Any) -> str | None:
        return None


class Odd:
    """A rule that is an object."""

    def check(self, value: Any) -> str | None:
        return None


@tool(risk="high")
async def pay(amount: int) -> str:
    """Pay."""
    return ""


def bound(arguments: Any, **parts: Any) -> str:
    known = {"run_id": "r", "call_id": "c", "definition": "d", "policy": "p", "expires_at": 1.5, **parts}
    return binding_of(arguments=arguments, **known)


@given(ARGUMENTS)
def test_it_is_the_same_in_whatever_order_the_arguments_come_and_after_their_way_through_the_store(
    arguments: dict[str, Any],
) -> None:
    again = msgspec.json.decode(msgspec.json.encode(dict(reversed(arguments.items()))))
    assert bound(again) == bound(arguments)


@given(ARGUMENTS, ARGUMENTS)
def test_other_arguments_are_another_call(some: dict[str, Any], others: dict[str, Any]) -> None:
    same = msgspec.json.encode(some, order="sorted") == msgspec.json.encode(others, order="sorted")
    assert (bound(some) == bound(others)) == same


def test_numbers_that_a_tool_can_tell_apart_are_others() -> None:
    assert len({bound({"amount": amount}) for amount in (1, 1.0, True, "1", [1], None)}) == 6


def test_each_part_counts() -> None:
    parts: list[dict[str, Any]] = [
        {},
        {"run_id": "R"},
        {"call_id": "C"},
        {"definition": "D"},
        {"policy": "P"},
        {"expires_at": 1.501},
        {"run_id": "rc", "call_id": ""},
    ]
    assert len({bound({}, **part) for part in parts}) == len(parts)


def test_a_tool_that_says_something_else_is_another_one() -> None:
    changed = [
        replace(pay, description="Pay now."),
        replace(pay, name="pay2"),
        replace(pay, parameters={**pay.parameters, "additionalProperties": True}),
        replace(pay, risk="low"),
        replace(pay, effect="idempotent"),
        replace(pay, rules={"amount": Most(5)}),
        replace(pay, rules={"amount": Most(6)}),
        replace(pay, rules={"amount": Odd()}),
    ]
    definitions = [definition_of(pay), *map(definition_of, changed)]
    assert len(set(definitions)) == len(definitions)


RULED = replace(pay, rules={"amount": Odd(), "other": Most(5)})


def test_it_is_the_same_in_another_process() -> None:
    code = "from tests.safety.test_binding import RULED, definition_of; print(definition_of(RULED))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == definition_of(RULED)

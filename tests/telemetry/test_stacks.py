"""Stacks in the log: as Python shows them, without secrets and without what others said."""

import json

import aiohttp
import msgspec
import pytest
from aiohttp.http_exceptions import BadHttpMessage

from app.telemetry.stacks import MAX_MESSAGE_CHARS, stack_of
from app.tools.tool import ToolError

SAID = "What-was-said"


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    """The exception with a stack."""
    try:
        raise error from cause
    except Exception as caught:  # noqa: BLE001
        return caught


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ClientPayloadError(SAID),
        aiohttp.ServerDisconnectedError(SAID),
        BadHttpMessage(SAID),
        json.JSONDecodeError(SAID, SAID, 0),
        msgspec.ValidationError(SAID),
    ],
)
def test_an_exception_that_repeats_what_it_read_is_told_by_its_class(error: Exception) -> None:
    for shown in (error, RuntimeError("outer")):
        stack = stack_of(raised(shown, None if shown is error else raised(error)), content=False)
        assert type(error).__name__ in stack
        assert SAID not in stack
    assert SAID in stack_of(error, content=True)


def test_a_stack_has_the_frames_and_messages_of_all_that_led_to_it() -> None:
    stack = stack_of(raised(RuntimeError("outer"), raised(ValueError("inner"))), content=False)
    assert stack.count("Traceback (most recent call last):") == 2
    assert stack.index("ValueError: inner") < stack.index("direct cause") < stack.index("RuntimeError: outer")
    assert 'test_stacks.py", line' in stack
    assert stack_of(raised(ToolError("oops")), content=False).endswith("app.tools.tool.ToolError: oops")


def test_those_of_a_group_are_in_it() -> None:
    group = ExceptionGroup("several", [raised(ValueError("one")), raised(aiohttp.ClientPayloadError(SAID))])
    stack = stack_of(raised(group), content=False)
    assert "ValueError: one" in stack
    assert "ClientPayloadError" in stack
    assert SAID not in stack


def test_a_message_is_cut_and_one_that_cannot_be_told_is_left_out() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert len(stack_of(ValueError("x" * 10_000), content=False)) <= MAX_MESSAGE_CHARS + 20
    assert stack_of(Broken(), content=False).endswith("Broken")
    assert stack_of(ValueError(), content=False) == "ValueError"


def test_a_chain_that_does_not_end_is_cut() -> None:
    error: Exception = ValueError("0")
    for number in range(100):
        error = raised(ValueError(str(number)), error)
    assert stack_of(error, content=False).count("ValueError") <= 20

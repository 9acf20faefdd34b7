"""What becomes a tool, what models are told of it, and what does not become one."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, ValidationError

from app.tools import Tool, ToolContext, tool
from tests.doubles import ADA


class Unit(StrEnum):
    CELSIUS = "C"
    FAHRENHEIT = "F"


class Place(BaseModel):
    """Somewhere."""

    city: str = Field(description="The city's name")
    unit: Unit = Unit.CELSIUS


class Tree(BaseModel):
    title: str
    branches: list["Tree"] = []


@tool
async def weather(
    places: list[Place],
    days: Annotated[int, Field(description="How many days", ge=1, le=7)] = 1,
    detail: Literal["short", "long"] = "short",
    title: str | None = None,
) -> str:
    """The weather.

    In several places.
    """
    return f"{places[0].city} {days} {detail} {title}"


async def test_the_schema_tells_types_defaults_and_descriptions_without_noise() -> None:
    assert weather.parameters == {
        "type": "object",
        "additionalProperties": False,
        "required": ["places"],
        "properties": {
            "places": {
                "type": "array",
                "items": {
                    "type": "object",
                    "description": "Somewhere.",
                    "required": ["city"],
                    "properties": {
                        "city": {"type": "string", "description": "The city's name"},
                        "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
                    },
                },
            },
            "days": {
                "type": "integer",
                "description": "How many days",
                "minimum": 1,
                "maximum": 7,
                "default": 1,
            },
            "detail": {"type": "string", "enum": ["short", "long"], "default": "short"},
            "title": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        },
    }


async def test_a_recursive_type_keeps_its_references() -> None:
    @tool
    async def grow(tree: Tree) -> None:
        """Grow."""

    Draft202012Validator.check_schema(dict(grow.parameters))
    validator = Draft202012Validator(dict(grow.parameters))
    assert validator.is_valid({"tree": {"title": "oak", "branches": [{"title": "twig"}]}})
    assert not validator.is_valid({"tree": {"title": "oak", "branches": [{"name": "twig"}]}})


async def test_a_discriminated_union_leaves_no_dangling_reference() -> None:
    class Cat(BaseModel):
        kind: Literal["cat"]

    class Dog(BaseModel):
        kind: Literal["dog"]

    @tool
    async def feed(animal: Annotated[Cat | Dog, Field(discriminator="kind")]) -> None:
        """Feed."""

    assert "$defs" not in str(feed.parameters)
    assert "discriminator" not in str(feed.parameters)


async def test_a_function_without_parameters_has_an_empty_object_for_schema() -> None:
    @tool
    async def ping() -> str:
        """Ping."""
        return "pong"

    assert ping.parameters == {"type": "object", "properties": {}, "additionalProperties": False}


async def test_name_description_and_limits_have_defaults() -> None:
    assert (weather.name, weather.description) == ("weather", "The weather.\n\nIn several places.")
    assert (weather.timeout_seconds, weather.max_output_chars, weather.risk) == (30, 10_000, "low")


async def test_options_override_the_defaults() -> None:
    @tool(timeout_seconds=1.5, max_output_chars=10, risk="high", name="drop-table")
    async def drop() -> None:
        """Drop."""

    assert (drop.name, drop.timeout_seconds, drop.max_output_chars, drop.risk) == ("drop-table", 1.5, 10, "high")


async def test_a_tool_is_still_callable_as_the_function() -> None:
    assert await weather([Place(city="Oslo")], detail="long") == "Oslo 1 long None"


async def test_a_tool_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        weather.risk = "high"  # type: ignore[misc]


async def test_arguments_become_the_types_of_the_parameters() -> None:
    arguments = {"places": [{"city": "Oslo", "unit": "F"}], "days": "3"}
    assert await weather.validate(arguments) == "Oslo 3 short None"


@pytest.mark.parametrize(
    ("arguments", "at"),
    [
        ({}, ("places",)),
        ({"places": [], "plases": []}, ("plases",)),
        ({"places": [{"city": "Oslo", "unit": "K"}]}, ("places", 0, "unit")),
        ({"places": [], "days": 8}, ("days",)),
        ({"places": [], "days": None}, ("days",)),
        ({"places": [], "detail": "\ud800"}, ("detail",)),
    ],
)
async def test_bad_arguments_are_named(arguments: dict[str, Any], at: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        await weather.validate(arguments)
    assert at in [error["loc"][: len(at)] for error in caught.value.errors()]


def not_async() -> None:
    """Documented."""


async def without_docstring() -> None: ...


async def blank_docstring() -> None:
    """ """


async def without_types(x) -> None:  # type: ignore[no-untyped-def]
    """Documented."""


async def with_args(*x: int) -> None:
    """Documented."""


async def with_kwargs(**x: int) -> None:
    """Documented."""


async def positional_only(x: int, /) -> None:
    """Documented."""


async def undefined_type(x: "Undefined") -> None:  # type: ignore[name-defined] # noqa: F821
    """Documented."""


async def without_json(x: Callable[[], int]) -> None:
    """Documented."""


async def generator():  # type: ignore[no-untyped-def]
    """Documented."""
    yield 1


async def fine() -> None:
    """Documented."""


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (not_async, "async"),
        (generator, "async"),
        (42, "async"),
        (without_docstring, "docstring"),
        (blank_docstring, "docstring"),
        (without_types, "'x' has no type"),
        (with_args, r"\*x: int"),
        (with_kwargs, r"\*\*x: int"),
        (positional_only, "x: int"),
        (undefined_type, "Undefined"),
        (without_json, "JSON"),
    ],
)
def test_what_cannot_become_a_tool_is_a_type_error(function: Any, complaint: str) -> None:
    with pytest.raises(TypeError, match=complaint):
        tool(function)


@pytest.mark.parametrize("name", ["", "two words", "ünder", "x" * 65, "line\n", "a.b"])
def test_a_name_providers_refuse_is_a_type_error(name: str) -> None:
    with pytest.raises(TypeError, match="1 to 64"):
        tool(name=name)(fine)


@pytest.mark.parametrize(
    "options",
    [{"timeout_seconds": 0}, {"timeout_seconds": float("nan")}, {"max_output_chars": 0}, {"risk": "none"}],
)
def test_senseless_options_are_a_type_error(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"above 0|one of"):
        tool(**options)(fine)


def test_a_bare_tool_annotation_means_any_tool() -> None:
    tools: list[Tool] = [weather]
    assert tools == [weather]


async def test_the_context_is_known_by_its_type_and_no_part_of_the_schema() -> None:
    @tool
    async def first(ctx: ToolContext, article: str) -> None:
        """Look."""

    @tool
    async def last(article: str, *, whoever: "ToolContext") -> None:
        """Look."""

    @tool
    async def annotated(article: str, ctx: Annotated[ToolContext, "who calls"]) -> None:
        """Look."""

    for made, name in ((first, "ctx"), (last, "whoever"), (annotated, "ctx")):
        assert made.contexts == (name,)
        assert made.parameters == {
            "type": "object",
            "properties": {"article": {"type": "string"}},
            "required": ["article"],
            "additionalProperties": False,
        }


async def test_a_context_alone_leaves_an_empty_schema() -> None:
    @tool
    async def ask(context: ToolContext) -> str:
        """Ask."""
        return context.caller.user

    assert ask.parameters == {"type": "object", "properties": {}, "additionalProperties": False}
    assert await ask.bind({}, ToolContext(ADA, "a-run")) == "ada"
    assert await ask(ToolContext(ADA, "a-run")) == "ada"


def test_a_context_within_another_type_is_a_type_error() -> None:
    async def several(contexts: list[ToolContext]) -> None:
        """Look."""

    async def perhaps(context: ToolContext | None = None) -> None:
        """Look."""

    for function in (several, perhaps):
        with pytest.raises(TypeError, match="ToolContext can only be the whole type"):
            tool(function)


def test_a_tool_says_what_a_second_call_does() -> None:
    async def act() -> str:
        """Act."""
        return ""

    assert tool(act).effect == "once"
    assert tool(pure=True)(act).effect == "read"
    assert tool(effect="idempotent")(act).effect == "idempotent"
    with pytest.raises(TypeError, match="effect is one of"):
        tool(effect="twice")(act)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="effect of a pure tool is one of 'read'"):
        tool(effect="once", pure=True)(act)


def test_the_idempotency_key_is_that_of_a_call() -> None:
    """The order of its arguments is chance."""
    context = ToolContext(ADA, "run", "call", iteration=1, arguments={"a": 1, "b": [2]})
    same = ToolContext(ADA, "run", "call", iteration=1, arguments={"b": [2], "a": 1}, deadline=5.0)
    assert context.idempotency_key == same.idempotency_key
    others = (
        ToolContext(ADA, "run", "call", iteration=2, arguments={"a": 1, "b": [2]}),
        ToolContext(ADA, "run", "other", iteration=1, arguments={"a": 1, "b": [2]}),
        ToolContext(ADA, "other", "call", iteration=1, arguments={"a": 1, "b": [2]}),
        ToolContext(ADA, "run", "call", iteration=1, arguments={"a": 2, "b": [2]}),
    )
    assert len({context.idempotency_key, *(other.idempotency_key for other in others)}) == 5

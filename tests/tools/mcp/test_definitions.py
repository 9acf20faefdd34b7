"""What MCP servers say of their tools, where it is hostile or does not fit; and pins that were meddled with."""

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import ValidationError

from app.errors import ConfigurationError
from app.tools.mcp.arguments import check_of
from app.tools.mcp.definition import Definition, problem_of, tool_name
from app.tools.mcp.offers import compared, shown
from app.tools.mcp.pins import read_pins, write_pins
from app.tools.mcp.schema import MAX_DEPTH, MAX_NODES, usable_schema
from app.tools.mcp.servers_file import McpServer

SERVER = McpServer("one", "http://127.0.0.1:1/mcp")
ECHO = Definition("echo", "Echo", "Says it again.", {"type": "object", "properties": {"text": {"type": "string"}}})


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def doubling(length: int) -> dict[str, Any]:
    """2 to the `length` parts, if all references are put in place."""
    parts = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(length)}
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**parts, f"d{length}": {}}}


HOSTILE: dict[str, Mapping[str, Any]] = {
    "deep": nested(MAX_DEPTH + 1),
    "very deep": nested(400),
    "wide": {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(MAX_NODES)}},
    "doubling references": doubling(40),
    "a reference to elsewhere": {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/schema.json"}}},
    "a reference to a file": {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
    "a reference to nothing": {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
    "a long text": {"type": "object", "description": "x" * 40_000},
    "no object": {"type": "array"},
    "no schema": {"type": "object", "properties": {"a": {"type": "nonsense"}}},
    "no schema within": {"type": "object", "properties": {"a": 7}},
    "a hidden text": {"type": "object", "properties": {"a": {"description": "fine\U000e0041\U000e0042"}}},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_schemas_cannot_be_pinned(kind: str) -> None:
    started = time.perf_counter()
    offers = compared(SERVER, [replace(ECHO, input_schema=dict(HOSTILE[kind]))], {})
    assert offers.problems == 1
    assert not offers.pinned
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "n" * 60},
        {"title": "t" * 300},
        {"description": "d" * 5_000},
        {"description": "Reads a file.\u202eevil"},
        {"description": "Reads a file.\u200b\u200b"},
        {"description": "\x1b[2J"},
        {"annotations": {"title": "\U000e0041"}},
    ],
)
def test_texts_that_are_too_long_or_hide_something_cannot_be_pinned(changes: Mapping[str, Any]) -> None:
    assert problem_of(replace(ECHO, **changes), "one") is not None


def test_a_recursive_schema_is_checked_as_far_as_it_was_put_in_place() -> None:
    node = {"type": "object", "properties": {"name": {"type": "string"}, "child": {"$ref": "#/$defs/node"}}}
    schema = usable_schema(
        {"type": "object", "properties": {"root": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}
    )
    assert "$ref" not in json.dumps(schema)
    check = check_of("one__tree", schema)
    check({"root": {"name": "a", "child": {"anything": [1, 2]}}})
    with pytest.raises(ValidationError):
        check({"root": {"name": 7}})


def test_a_schema_that_refers_to_itself_as_a_whole_ends() -> None:
    assert usable_schema({"$ref": "#", "type": "object"}) == {"properties": {}, "type": "object"}


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a+)+\\1", "(?=a)a+$"])
def test_no_pattern_takes_long(pattern: str) -> None:
    check = check_of(
        "one__x", usable_schema({"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}})
    )
    started = time.perf_counter()
    with suppress(ValidationError):
        check({"a": "a" * 50_000 + "!"})
    assert time.perf_counter() - started < 5


def test_a_pattern_that_can_be_checked_is() -> None:
    check = check_of(
        "one__x", usable_schema({"type": "object", "properties": {"a": {"type": "string", "pattern": "^[0-9]+$"}}})
    )
    check({"a": "123"})
    with pytest.raises(ValidationError, match="does not match"):
        check({"a": "12x"})


@pytest.mark.parametrize(
    ("schema", "value"), [({"multipleOf": 0.1}, 10**400), ({"pattern": "a"}, "\ud800"), ({"maximum": 1.5}, 10**400)]
)
def test_arguments_that_no_float_or_pattern_takes_are_refused_like_any_other(
    schema: dict[str, Any], value: object
) -> None:
    check = check_of("one__x", usable_schema({"type": "object", "properties": {"a": schema}}))
    with pytest.raises(ValidationError):
        check({"a": value})


def test_alternatives_for_many_values_are_refused_before_they_take_long() -> None:
    choices = [*[{"pattern": f"^a{number}$"} for number in range(480)], {"type": "string"}]
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"anyOf": choices}}}}
    check = check_of("one__x", usable_schema(schema))
    started = time.process_time()
    with pytest.raises(ValidationError, match="too many values for what the schema asks"):
        check({"a": ["x"] * 1_990})
    assert time.process_time() - started < 10
    check({"a": ["x"] * 20})  # each check has steps of its own
    check({"a": ["x"] * 20})


def test_arguments_of_very_many_values_are_refused_at_once() -> None:
    check = check_of("one__x", usable_schema({"type": "object", "properties": {"a": {"uniqueItems": True}}}))
    with pytest.raises(ValidationError, match="more than"):
        check({"a": [[n] for n in range(100_000)]})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "properties", "items", "$ref", "allOf", "pattern", "enum", "a", "$defs", "not", "required"]
            ),
            inner | st.sampled_from(["object", "#", "#/$defs/a", "string"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from(["type", "properties", "$defs", "allOf", "items"]), json_values, max_size=4),
    json_values,
)
def test_any_schema_is_usable_or_refused_and_nothing_else(schema: dict[str, Any], value: Any) -> None:
    offers = compared(SERVER, [replace(ECHO, input_schema=schema)], {})
    if offers.problems:
        return
    with suppress(ValidationError):
        check_of("one__x", usable_schema(schema))({"a": value})


def test_names_are_of_the_characters_that_every_provider_takes() -> None:
    assert tool_name("one", "files/read now") == "one__files_read_now"


def test_two_tools_that_would_have_the_same_name_cannot_be_pinned() -> None:
    offers = compared(SERVER, [replace(ECHO, name="a/b"), replace(ECHO, name="a.b")], {})
    assert offers.problems == 2
    assert not offers.pinned


@pytest.mark.parametrize("field", ["name", "title", "description", "input_schema", "output_schema", "annotations"])
def test_the_hash_is_of_each_part_of_a_definition(field: str) -> None:
    other: Any = "other" if field in ("name", "title", "description") else {"type": "object", "x": 1}
    assert replace(ECHO, **{field: other}).digest != ECHO.digest


def test_pins_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_pins(tmp_path / "pins", {"one": {"echo": ECHO}})
    assert read_pins(tmp_path / "pins") == {"one": {"echo": ECHO}}
    assert read_pins(tmp_path / "none") == {}


@pytest.mark.parametrize(("old", "new"), [("Says it again.", "Deletes it."), ("sha256:", "sha256:0"), ("{", "")])
def test_pins_that_were_edited_stop_the_start(tmp_path: Path, old: str, new: str) -> None:
    write_pins(tmp_path / "pins", {"one": {"echo": ECHO}})
    (tmp_path / "pins").write_text((tmp_path / "pins").read_text().replace(old, new, 1))
    with pytest.raises(ConfigurationError, match="MCP_SERVERS_FILE"):
        read_pins(tmp_path / "pins")


def test_what_is_shown_hides_nothing_and_steers_no_terminal() -> None:
    assert shown("a\x1b[2J\u202eb\n\U000e0041") == "a\\x1b[2J\\u202eb\\n\\U000e0041"


def test_what_has_changed_is_shown_beside_what_it_was() -> None:
    offers = compared(
        SERVER, [replace(ECHO, description="Deletes it.")], {"echo": ECHO, "old": replace(ECHO, name="old")}
    )
    assert "one__echo: CHANGED" in offers.lines
    assert "    description: Deletes it." in offers.lines
    assert "        was: Says it again." in offers.lines
    assert "one__old: GONE" in offers.lines
    assert offers.pinned == {"echo": replace(ECHO, description="Deletes it.")}
    assert offers.different == 2

"""Tool calls of OpenAI-compatible servers: however they are cut, each runs once with its own arguments."""

import re
from typing import Any

import pytest

from app.messages import ToolCall, UserMessage
from app.models.providers.http import Http
from app.models.providers.openai.model import OpenAIModel
from app.models.providers.tool_calls import call_with_json, parsed_arguments
from tests.models.openai_server import ONE, ONE_JSON, TWO, TWO_JSON, ask, call, calls, chunk, says, stream, whole
from tests.models.servers import Provider, Reply

SECOND = call(TWO_JSON, index=0, id="a")
CLOCK: tuple[str, dict[str, Any]] = ("clock", {})


@pytest.fixture
def model(provider: Provider, http: Http) -> OpenAIModel:
    return OpenAIModel("m", f"{provider.url}/v1", None, http)


CASES: list[tuple[str, Reply, list[tuple[str, dict[str, Any]]]]] = [
    (
        "in pieces, one after the other",
        calls(
            [call("", index=0, id="a")],
            [call(ONE_JSON[:5], None, index=0)],
            [call(ONE_JSON[5:], None, index=0)],
            [call("", index=1, id="b")],
            [call(TWO_JSON, None, index=1)],
        ),
        [ONE, TWO],
    ),
    (
        "in pieces, in turns",
        calls(
            [call("", index=0, id="a"), call("", index=1, id="b")],
            [call(ONE_JSON[:5], None, index=0), call(TWO_JSON[:7], None, index=1)],
            [call(TWO_JSON[7:], None, index=1), call(ONE_JSON[5:], None, index=0)],
        ),
        [ONE, TWO],
    ),
    (
        "all of index 0, in pieces",
        calls(
            [call("", index=0, id="a")],
            [call(ONE_JSON, None, index=0)],
            [call("", index=0, id="b")],
            [call(TWO_JSON, None, index=0)],
        ),
        [ONE, TWO],
    ),
    (
        "all of index 0, the ids in each piece, in turns",
        calls(
            [call(ONE_JSON[:5], index=0, id="a")],
            [call(TWO_JSON[:5], index=0, id="b")],
            [call(ONE_JSON[5:], None, index=0, id="a")],
            [call(TWO_JSON[5:], None, index=0, id="b")],
        ),
        [ONE, TWO],
    ),
    ("all of index 0, without ids", calls([call(ONE_JSON, index=0)], [call(TWO_JSON, index=0)]), [ONE, TWO]),
    ("all of index 0, with one id", calls([call(ONE_JSON, index=0, id="a"), SECOND]), [ONE, TWO]),
    ("no index, one id", calls([call(ONE_JSON, id="a")], [call(TWO_JSON, id="a")]), [ONE, TWO]),
    ("two indexes, one id", calls([call(ONE_JSON, index=0, id="a")], [call(TWO_JSON, index=1, id="a")]), [ONE, TWO]),
    ("no index, no id", calls([call(ONE_JSON), call(TWO_JSON)]), [ONE, TWO]),
    (
        "no index, no id, in pieces",
        calls([call(ONE_JSON[:5])], [call(ONE_JSON[5:], None)], [call(TWO_JSON[:5]), call(TWO_JSON[5:], None)]),
        [ONE, TWO],
    ),
    (
        "id and name in each piece",
        calls([call("", id="a")], [call(ONE_JSON[:5], id="a")], [call(ONE_JSON[5:], id="a")]),
        [ONE],
    ),
    (
        "name in each piece",
        calls([call(ONE_JSON[:5], index=0, id="a")], [call(ONE_JSON[5:], index=0)]),
        [ONE],
    ),
    ("the name in pieces", calls([call("", "calc", index=0, id="a")], [call(ONE_JSON, "ulator", index=0)]), [ONE]),
    ("the id later", calls([call("", index=0)], [call(ONE_JSON, None, index=0, id="a")]), [ONE]),
    (
        "an index that counts the pieces",
        calls([call(ONE_JSON[:5], index=0, id="a")], [call(ONE_JSON[5:], None, index=1)]),
        [ONE],
    ),
    ("an index that is text", calls([call(ONE_JSON, index="0", id="a")], [call(TWO_JSON, index="1")]), [ONE, TWO]),
    ("arguments an object", calls([call({"expression": "1+1"}, index=0, id="a")]), [ONE]),
    ("arguments null", calls([call(None, "clock", index=0, id="a")]), [CLOCK]),
    ("arguments the word null", calls([call("null", "clock", index=0, id="a")]), [CLOCK]),
    ("arguments empty", calls([call("", "clock", index=0, id="a")]), [CLOCK]),
    ("arguments of spaces", calls([call(" \n", "clock", index=0, id="a")]), [CLOCK]),
    ("arguments JSON in JSON", calls([call('"{\\"expression\\": \\"1+1\\"}"', index=0, id="a")]), [ONE]),
    ("arguments after an empty object", calls([call("{}", index=0, id="a")], [call(ONE_JSON, None, index=0)]), [ONE]),
    ("no arguments", calls([{"index": 0, "id": "a", "function": {"name": "clock"}}]), [CLOCK]),
    ("a nameless last one", calls([call(ONE_JSON, index=0, id="a")], [call("", "", index=1, id="")]), [ONE]),
    ("a nameless one with an id", calls([call(ONE_JSON, index=0, id="a")], [call("{}", None, index=1, id="b")]), [ONE]),
    ("a nameless first one", calls([call("", "", index=0)], [call(ONE_JSON, index=1, id="a")]), [ONE]),
    ("in the last chunk, with stop", stream(chunk({"tool_calls": [call(ONE_JSON, index=0, id="a")]}, "stop")), [ONE]),
    ("one object, no list", stream(chunk({"tool_calls": call(ONE_JSON, index=0, id="a")}, "tool_calls")), [ONE]),
    (
        "legacy",
        stream(
            chunk({"function_call": {"name": "calculator", "arguments": ""}}),
            chunk({"function_call": {"arguments": ONE_JSON}}),
            chunk(finish="function_call"),
        ),
        [ONE],
    ),
    (
        "each in a last chunk",
        stream(
            chunk({"tool_calls": [call(ONE_JSON, index=0, id="a")]}, "tool_calls"),
            chunk({"tool_calls": [call(TWO_JSON, index=1, id="b")]}, "tool_calls"),
        ),
        [ONE, TWO],
    ),
    ("a name with its namespace", calls([call(ONE_JSON, "functions.calculator", index=0, id="a")]), [ONE]),
    ("a name with a marker", calls([call(ONE_JSON, "calculator<|channel|>json", index=0, id="a")]), [ONE]),
    ("a name with a blank", calls([call(ONE_JSON, " calculator ", index=0, id="a")]), [ONE]),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
async def test_each_call_runs_once_with_its_own_arguments(
    provider: Provider, model: OpenAIModel, reply: Reply, expected: list[tuple[str, dict[str, Any]]]
) -> None:
    provider.will(reply, says("Done."))
    heard = await ask(model)
    assert heard.calls == expected
    assert heard.completion.stop_reason == "tool_calls"
    await ask(model, [UserMessage("hello"), *heard.messages()])
    sent = provider.received[1].body["messages"]
    made = next(message["tool_calls"] for message in sent if message.get("tool_calls"))
    results = [message for message in sent if message["role"] == "tool"]
    assert [each["id"] for each in made] == [result["tool_call_id"] for result in results]
    assert len({each["id"] for each in made}) == len(expected)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", each["function"]["name"]) for each in made)
    assert all(isinstance(each["function"]["arguments"], str) for each in made)


WHOLE: list[tuple[str, dict[str, Any], list[tuple[str, dict[str, Any]]]]] = [
    ("no index", {"tool_calls": [call({"expression": "1+1"}, id="a"), call(TWO_JSON, id="b")]}, [ONE, TWO]),
    ("no ids", {"tool_calls": [call(ONE_JSON), call(TWO_JSON)]}, [ONE, TWO]),
    ("one id", {"tool_calls": [call(ONE_JSON, id="a"), call(TWO_JSON, id="a")]}, [ONE, TWO]),
    ("null", {"tool_calls": [call(None, "clock", id="a")]}, [CLOCK]),
    ("legacy", {"function_call": {"name": "calculator", "arguments": ONE_JSON}}, [ONE]),
    ("null and legacy", {"tool_calls": None, "function_call": {"name": "clock", "arguments": "{}"}}, [CLOCK]),
]  # fmt: skip


@pytest.mark.parametrize(("message", "expected"), [case[1:] for case in WHOLE], ids=[case[0] for case in WHOLE])
async def test_calls_of_whole_answers(
    provider: Provider, model: OpenAIModel, message: dict[str, Any], expected: list[tuple[str, dict[str, Any]]]
) -> None:
    provider.will(whole({"content": None, **message}, "stop"))
    assert (await ask(model, stream=False)).calls == expected


async def test_pieces_of_arguments_are_told(provider: Provider, model: OpenAIModel) -> None:
    provider.will(calls([call("", index=0, id="a")], [call('{"a"', None, index=0)], [call(": 1}", None, index=0)]))
    assert (await ask(model)).arguments == ['{"a"', ": 1}"]


@pytest.mark.parametrize("call_id", ["functions.calculator:0", "a" * 65, "call_1__thought__QUJD/+==", "ы"])
async def test_an_id_that_others_do_not_take_goes_back_to_its_own_model_only(
    provider: Provider, http: Http, model: OpenAIModel, call_id: str
) -> None:
    provider.will(calls([call(ONE_JSON, index=0, id=call_id)]), says("Done."))
    heard = await ask(model)
    (made,) = heard.completion.tool_calls
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", made.id)
    for asked, expected in ((model, call_id), (OpenAIModel("other", f"{provider.url}/v1", None, http), made.id)):
        await ask(asked, [UserMessage("hello"), *heard.messages()])
        sent = provider.received[-1].body["messages"]
        assert sent[-2]["tool_calls"][0]["id"] == expected
        assert sent[-1]["tool_call_id"] == expected


async def test_an_id_that_is_in_the_conversation_is_not_given_again(provider: Provider, model: OpenAIModel) -> None:
    provider.will(calls([call(ONE_JSON, index=0, id="call_0")]))
    first = await ask(model)
    second = await ask(model, [UserMessage("hello"), *first.messages()])
    assert first.completion.tool_calls[0].id == "call_0"
    assert second.completion.tool_calls[0].id != "call_0"


async def test_a_call_without_a_name_is_none(provider: Provider, model: OpenAIModel) -> None:
    provider.will(
        stream(chunk({"content": "Hi"}), chunk({"tool_calls": [call("", "", index=0)]}), chunk(finish="tool_calls"))
    )
    heard = await ask(model)
    assert (heard.text, heard.calls, heard.completion.stop_reason) == ("Hi", [], "stop")


async def test_a_name_that_no_api_takes(provider: Provider, model: OpenAIModel) -> None:
    provider.will(calls([call("{}", "röntgen it!", index=0, id="a"), call("{}", "???", index=1, id="b")]))
    assert [made.name for made in (await ask(model)).completion.tool_calls] == ["r_ntgen_it", "unnamed"]


async def test_malformed_arguments_go_back_as_an_object(provider: Provider, model: OpenAIModel) -> None:
    provider.will(calls([call('{"expression": 1 +', index=0, id="a")]), says("Done."))
    heard = await ask(model)
    assert heard.completion.tool_calls == (ToolCall("a", "calculator", {}, '{"expression": 1 +'),)
    await ask(model, [UserMessage("hello"), *heard.messages()])
    assert provider.received[1].body["messages"][-2]["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("depth", [101, 900, 985, 5_000])
@pytest.mark.parametrize(("begin", "end"), [('{"a":', "}"), ("[", "]")])
def test_arguments_that_are_nested_very_deep_are_malformed(depth: int, begin: str, end: str) -> None:
    text = f'{{"x":{begin * depth}1{end * depth}}}'
    assert call_with_json("1", "calculator", text).malformed == text


def test_arguments_of_many_values_side_by_side_are_as_they_are() -> None:
    assert parsed_arguments(f'{{"x":[{"[]," * 500}[]]}}') == {"x": [[]] * 501}

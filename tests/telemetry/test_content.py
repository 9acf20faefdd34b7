"""Content in spans: whole messages where they fit, cut visibly where they do not, and never a secret."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from app.telemetry.content import ATTRIBUTE_BYTES, of_conversation, of_output, of_tool
from app.telemetry.fitted_json import MESSAGE_BYTES

SECRET = "sk-proj-AbCd1234EfGh5678IjKl"
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
LONG = st.builds(lambda text, times: text * times, st.text(min_size=1, max_size=20), st.integers(1, 3000))


def in_conversation(*messages: Message) -> Any:
    return json.loads(str(of_conversation("", messages)["gen_ai.input.messages"]))


def size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


@settings(max_examples=40)
@given(text=LONG | st.text(), arguments=st.dictionaries(st.text(), JSON | LONG, max_size=5))
def test_no_message_is_larger_than_its_bound_and_each_is_json(text: str, arguments: dict[str, Any]) -> None:
    messages: list[Message] = [
        UserMessage(text),
        AssistantMessage(text, (ToolCall("1", "t", arguments),)),
        ToolMessage("1", "t", text),
    ]
    shown = in_conversation(*messages)
    assert [message["role"] for message in shown[-3:]] == ["user", "assistant", "tool"]
    assert all(size(message) <= MESSAGE_BYTES for message in shown)
    for value in of_tool(arguments, text).values():
        json.loads(str(value))
        assert len(str(value).encode()) <= MESSAGE_BYTES
    [answer] = json.loads(str(of_output(text)["gen_ai.output.messages"]))
    assert size(answer) <= MESSAGE_BYTES


@settings(max_examples=40)
@given(before=st.integers(0, 70_000), after=st.sampled_from([0, 10, 100_000]))
def test_a_secret_is_gone_wherever_the_text_is_cut(before: int, after: int) -> None:
    text = f"{'la ' * (before // 3)}{SECRET} {'lo ' * (after // 3)}"
    assert "AbCd" not in json.dumps(in_conversation(UserMessage(text)))


def test_what_fits_is_shown_as_it_is() -> None:
    assert in_conversation(UserMessage("Wie geht's? 🙂")) == [
        {"role": "user", "parts": [{"type": "text", "content": "Wie geht's? 🙂"}]}
    ]


def test_what_is_cut_says_how_long_it_was() -> None:
    [message] = in_conversation(UserMessage("x" * 20_000))
    shown = message["parts"][0]["content"]
    assert shown.endswith("… 20000 characters")
    assert size(message) > 0.95 * MESSAGE_BYTES


def test_of_many_messages_the_newest_are_shown() -> None:
    messages: list[Message] = [UserMessage(f"{number} {'x' * 4000}") for number in range(50)]
    attribute = str(of_conversation("", messages)["gen_ai.input.messages"])
    assert len(attribute) < ATTRIBUTE_BYTES + MESSAGE_BYTES
    first, *others = json.loads(attribute)
    assert first["parts"][0]["content"] == f"… {50 - len(others)} earlier messages are left out"
    assert others[-1]["parts"][0]["content"].startswith("49 ")


def test_arguments_that_are_called_like_secrets_are_not_shown() -> None:
    arguments = {"password": "my dear friend", "nested": [{"api_key": "short"}], "passwords": 3, "city": "Paris"}
    shown = json.loads(str(of_tool(arguments, "ok")["gen_ai.tool.call.arguments"]))
    assert shown == {"password": "…", "nested": [{"api_key": "…"}], "passwords": 3, "city": "Paris"}


def test_arguments_that_were_no_json_are_shown_as_they_were_written() -> None:
    [message] = in_conversation(AssistantMessage("", (ToolCall("1", "t", {}, malformed="{oops"),)))
    assert message["parts"] == [{"type": "tool_call", "id": "1", "name": "t", "arguments": "{oops"}]


def test_very_many_small_values_are_counted_instead() -> None:
    arguments = {f"name-{number}": number for number in range(5000)}
    assert "bytes" in str(of_tool(arguments, "")["gen_ai.tool.call.arguments"])
    [message] = in_conversation(AssistantMessage("", (ToolCall("1", "t", arguments),)))
    assert message["parts"][0]["type"] == "text"

"""What an error repeats of the request is taken out of it."""

import json
from typing import Any

import pytest

from app.models.providers.demo.echo import without_echo
from app.models.providers.failures import unavailable

SENT: dict[str, Any] = {
    "model": "gpt-4o",
    "stream_options": {"include_usage": True},
    "system": [{"type": "text", "text": "Be a Zwergenkönig."}],
    "messages": [
        {"role": "user", "content": "My password is hunter2, my PIN 4711; 密码 is 水果 and stream_options is a word."},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "function": {"arguments": '{"x": "Apfel"}'}}],
        },
    ],
}


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Invalid 'hunter2' in message", "Invalid '…' in message"),
        ("cannot read: My password is hunter2, my PIN 4711", "cannot read: My … is …, my PIN …"),
        ("bad arguments Apfel", "bad arguments …"),
        ("ZWERGENKÖNIG is not allowed", "… is not allowed"),
        ("水果 is not allowed", "… is not allowed"),
        ("Unsupported parameter: 'stream_options'", "Unsupported parameter: 'stream_options'"),
        ("model gpt-4o: maximum context length is 4096 tokens", "model gpt-4o: maximum context length is 4096 tokens"),
        ("input_value='other words', input_type=str", "…, input_type=str"),
        ('Failed to parse {"name": "x"}', "Failed to parse …"),
        ("Failed to parse input at pos 5: other words", "Failed to parse input at pos …"),
        (f"Invalid text '{'other words ' * 5}'", "Invalid text …"),
        ("This model's parser can't do that, and isn't alone", "This model's parser can't do that, and isn't alone"),
    ],
)
def test_echo(said: str, left: str) -> None:
    error = unavailable("bad_request", said)
    without_echo(error, json.dumps(SENT, ensure_ascii=False).encode())
    assert error.cause == left


@pytest.mark.parametrize("sent", [b"", b"{broken", b"[]", b'{"messages": 5}', b"\xff"])
def test_a_request_of_another_shape_says_nothing(sent: bytes) -> None:
    error = unavailable("bad_request", "Oh no")
    without_echo(error, sent)
    assert error.cause == "Oh no"

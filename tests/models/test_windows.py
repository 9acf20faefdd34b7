"""The context window in what servers say when a request does not fit."""

import pytest

from app.models.providers.windows import Window, told_window


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (904 in the "
            "messages, 4096 in the completion).",
            Window(4096, 904),
        ),
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's maximum context length is 2048 "
            "tokens and your request has 30 input tokens (4096 > 2048 - 30).",
            Window(2048, 30),
        ),
        (
            "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens.",
            Window(4096, 5000),
        ),
        (
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 95 `inputs` tokens and "
            "4096 `max_new_tokens`",
            Window(4096, 95),
        ),
        ("input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000", Window(200000, 188240)),
        ("the request exceeds the available context size (8192 tokens), try increasing it", Window(8192, None)),
        (
            "request (9000 tokens) exceeds the available context size (8192 tokens), try increasing it",
            Window(8192, None),
        ),
        (
            "Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with "
            "context length of only 4096 tokens",
            Window(4096, None),
        ),
        ("the model's context window is 131,072 tokens", Window(131072, None)),
        ('"n_prompt_tokens": 9000, "n_ctx": 8192', Window(8192, None)),
        ("This model's maximum context length is 12 tokens.", None),
        ("prompt is too long: 213462 tokens > 200000 maximum", None),
        ("slow down", None),
    ],
)
def test_what_is_told(words: str, expected: Window | None) -> None:
    assert told_window(words.lower()) == expected

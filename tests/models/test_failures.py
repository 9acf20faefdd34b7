"""What providers say of errors, and what is made of it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.providers.error_body import read_error
from app.models.providers.failures import MAX_WORDS_BYTES, from_exception, from_status
from app.models.providers.retry_after import retry_after_seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3),
        ({"Retry-After": "1.5"}, 1.5),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "3", "retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "3", "retry-after-ms": "x"}, 3),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers) == seconds


def test_retry_after_as_a_date() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert retry_after_seconds({"Retry-After": date}) == pytest.approx(30, abs=2)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": {"message": "oops", "type": "t", "code": "c"}}', "t c oops"),
        (b'{"error": {"message": "oops", "code": 400}}', "400 oops"),
        (b'{"error": "oops"}', "oops"),
        (b'{"error": 5}', "5"),
        (b'{"detail": "oops"}', "oops"),
        (b'{"message": "oops", "code": 1}', "1 oops"),
        (b'{"msg": "oops", "success": false, "code": null}', "oops"),
        (b'{"error": {"message": ["oops"]}}', "oops"),
        (b'[{"error": {"message": "oops", "status": "S"}}]', "S oops"),
        (b'["oops"]', "oops"),
        (b'"oops"', "oops"),
        (b'"{\\"error\\": \\"oops\\"}"', "oops"),
        (b'{"detail": "HTTP 400: {\\"error\\": {\\"code\\": \\"c\\"}}"}', "c HTTP 400"),
        (b'{"error": {"message": "{broken}"}}', "{broken}"),
        (b'{"detail": [{"loc": ["body", "x"], "msg": "oops", "input": "secret"}]}', "body.x: oops"),
        (b'{"error": {"message": "oops", "failed_generation": "secret"}}', "oops"),
        (b'event: error\ndata: {"error": {"message": "oops"}}\n\n', "oops"),
        (b'\xef\xbb\xbf{"error": "oops"}', "oops"),
        (b"<html><head><style>p {}</style><title>502</title></head><p>oops</p>", "a page of HTML: 502 oops"),
        (b"oops", "oops"),
        (b"\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_words(body: bytes, words: str) -> None:
    assert read_error(body).words == words


@given(st.integers(300, 599), st.binary(max_size=2000))
def test_any_body_of_an_error_is_taken(status: int, body: bytes) -> None:
    error = from_status(status, {}, body)
    assert error.detail
    assert len(getattr(error, "words", "").encode()) <= MAX_WORDS_BYTES
    assert len(getattr(error, "cause", "")) <= 300


@pytest.mark.parametrize("answering", [True, False])
def test_any_exception_of_aiohttp_has_a_reason(answering: bool) -> None:
    assert from_exception(aiohttp.InvalidURL("x"), answering).reason == "unreachable"
    assert from_exception(aiohttp.ClientError(), answering).reason == "broken_answer"
    assert from_exception(aiohttp.ClientPayloadError(), answering).reason == "cut_stream"
    assert from_exception(ConnectionResetError(), answering).reason == ("cut_stream" if answering else "disconnected")
    assert from_exception(aiohttp.SocketTimeoutError(), answering).reason == "timeout"
    assert from_exception(aiohttp.ConnectionTimeoutError(), answering).reason == "connect_timeout"
    reason = from_exception(aiohttp.ServerDisconnectedError(), answering).reason
    assert reason == ("cut_stream" if answering else "disconnected")

"""What kind of refusal each provider's own words mean: `cases/errors.jsonl` has one that was reported a line."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import AppError, ContentFiltered, ContextTooLong, ModelError, ModelRateLimited
from app.models.providers.failures import from_answer, from_status

LINES = Path(__file__).with_name("cases").joinpath("errors.jsonl").read_text().split("\n")
CASES = [json.loads(line) for line in LINES if line]
CLASSES: dict[str, type[AppError]] = {
    "too long": ContextTooLong,
    "filtered": ContentFiltered,
    "rate": ModelRateLimited,
}
PERMANENT = ("auth", "not_found", "bad_request", "quota")


@pytest.mark.parametrize("case", CASES, ids=[f"{case['kind']}: {case['who']}" for case in CASES])
def test_a_refusal(case: dict[str, Any]) -> None:
    error = from_status(case["status"], {}, case["body"].encode())
    assert isinstance(error, CLASSES.get(case["kind"], ModelError))
    if case["kind"] not in CLASSES:
        assert isinstance(error, ModelError)
        assert error.reason == case["kind"]
        assert error.permanent == (case["kind"] in PERMANENT)
        assert ("operator" in error.detail) == error.permanent


IN_STREAMS = [
    case for case in CASES if case["kind"] in ("too long", "filtered", "quota") and case["body"].startswith("{")
]


@pytest.mark.parametrize("case", IN_STREAMS, ids=[f"{case['kind']}: {case['who']}" for case in IN_STREAMS])
def test_a_refusal_in_a_stream_is_the_same(case: dict[str, Any]) -> None:
    error = from_answer(case["body"].encode())
    assert type(error) is type(from_status(case["status"], {}, case["body"].encode()))
    assert getattr(error, "reason", "quota") == "quota"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', "shared_overload"),
        ('{"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}', "rate_limited"),
        ('{"error": {"message": "Rate limit exceeded", "code": 429}}', "rate_limited"),
        ('{"error": {"message": "Rate limit exceeded", "code": "rate_limit_exceeded"}}', "rate_limited"),
        ('{"error": {"message": "no", "status": "UNAVAILABLE"}}', "overloaded"),
        ('{"error": {"message": "oops", "code": "502"}}', "server_error"),
        ('{"object": "error", "message": "Internal server error", "code": 500}', "server_error"),
        ('{"error": "model runner has unexpectedly stopped"}', "server_error"),
        ('{"error": {}}', "server_error"),
    ],
)
def test_an_error_in_an_answer_of_status_200(body: str, reason: str) -> None:
    error = from_answer(body.encode())
    assert isinstance(error, ModelError)
    assert error.reason == reason


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Please try again in 7.66s. Visit us.", 7.66),
        ("Please try again in 120ms.", 0.12),
        ("Please retry after 2m.", 120),
        ("Please try again in a while.", None),
        ("Please try again in 1.2.3s.", None),
    ],
)
def test_how_long_a_rate_limit_lasts_may_be_in_the_words(message: str, seconds: float | None) -> None:
    assert from_status(429, {}, message.encode()).retry_after == seconds
    assert from_status(429, {"Retry-After": "9"}, message.encode()).retry_after == 9


def test_googles_delay() -> None:
    body = '[{"error": {"code": 429, "details": [{"@type": "x.RetryInfo", "retryDelay": "34s"}]}}]'
    assert from_status(429, {}, body.encode()).retry_after == 34

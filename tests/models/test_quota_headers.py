"""Limits by headers, in each format that a provider documents; and values that no provider should send."""

import time
from collections.abc import Mapping
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from app.models.quota_headers import (
    ANTHROPIC,
    COMPATIBLE,
    MAX_RESET_SECONDS,
    UNTOLD_RESET_SECONDS,
    Format,
    Quota,
    low_quotas,
)


def read(headers: Mapping[str, str], formats: tuple[Format, ...] = COMPATIBLE) -> list[Quota]:
    return low_quotas(CIMultiDict(headers), formats)


def x_ratelimit(kind: str, limit: object, remaining: object, reset: object) -> dict[str, str]:
    told = {"limit": limit, "remaining": remaining, "reset": reset}
    return {f"x-ratelimit-{part}-{kind}": str(value) for part, value in told.items()}


AN_ANTHROPIC_ANSWER = {
    "date": "Thu, 21 Aug 2025 12:41:00 GMT",
    "anthropic-ratelimit-input-tokens-limit": "80000",
    "anthropic-ratelimit-input-tokens-remaining": "80000",
    "anthropic-ratelimit-input-tokens-reset": "2025-08-21T12:40:59Z",
    "anthropic-ratelimit-output-tokens-limit": "16000",
    "anthropic-ratelimit-output-tokens-remaining": "16000",
    "anthropic-ratelimit-output-tokens-reset": "2025-08-21T12:41:00Z",
    "anthropic-ratelimit-requests-limit": "1000",
    "anthropic-ratelimit-requests-remaining": "999",
    "anthropic-ratelimit-requests-reset": "2025-08-21T12:40:59Z",
    "anthropic-ratelimit-tokens-limit": "96000",
    "anthropic-ratelimit-tokens-remaining": "96000",
    "anthropic-ratelimit-tokens-reset": "2025-08-21T12:40:59Z",
}


def test_anthropic_with_all_limits_far_away_tells_nothing() -> None:
    assert not read(AN_ANTHROPIC_ANSWER, ANTHROPIC)


@pytest.mark.parametrize("kind", ["requests", "tokens", "input-tokens", "output-tokens"])
def test_anthropic_each_of_its_limits_counts_by_the_clock_of_its_date(kind: str) -> None:
    used_up = {
        f"anthropic-ratelimit-{kind}-remaining": "0",
        f"anthropic-ratelimit-{kind}-reset": "2025-08-21T12:41:42Z",
    }
    (quota,) = read(AN_ANTHROPIC_ANSWER | used_up, ANTHROPIC)
    assert (quota.unit, quota.remaining) == ("requests" if kind == "requests" else "tokens", 0)
    assert quota.resets_in == 43  # whole seconds may have been rounded down


def test_openai() -> None:
    few = x_ratelimit("requests", 60, 0, "1s") | x_ratelimit("tokens", 150000, 149984, "6m0s")
    assert read(few) == [Quota("requests", 60, 0, 2.0)]
    none = x_ratelimit("requests", 600, 599, "120ms") | x_ratelimit("tokens", 150000, 0, "6m0s")
    assert read(none) == [Quota("tokens", 150000, 0, 361.0)]


def test_groq() -> None:
    headers = x_ratelimit("requests", 14400, 14370, "2m59.56s") | x_ratelimit("tokens", 18000, 0, "7.66s")
    assert read(headers) == [Quota("tokens", 18000, 0, 7.66)]
    (quota,) = read(x_ratelimit("requests", 14400, 12, "2m59.56s"))
    assert (quota.limit, quota.remaining) == (14400, 12)
    assert quota.resets_in == pytest.approx(179.56)


def test_azure_in_seconds_and_minus_one_where_it_does_not_count() -> None:
    assert read(x_ratelimit("requests", 10, 9, "26")) == [Quota("requests", 10, 9, 27.0)]
    assert not read(x_ratelimit("tokens", -1, -1, 0))
    assert read({"x-ratelimit-remaining-requests": "0"}) == [Quota("requests", 0, 0, UNTOLD_RESET_SECONDS)]


def test_openrouter_in_milliseconds_since_the_epoch() -> None:
    reset = str(round((time.time() + 30) * 1000))
    headers = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    (quota,) = read(headers | {"Date": formatdate(usegmt=True)})
    assert (quota.limit, quota.remaining) == (20, 0)
    assert 25 < quota.resets_in < 31


def test_mistral_which_tells_no_reset() -> None:
    headers = {
        "x-ratelimit-limit-req-minute": "60",
        "x-ratelimit-remaining-req-minute": "7",
        "x-ratelimit-limit-tokens-minute": "50000",
        "x-ratelimit-remaining-tokens-minute": "0",
    }
    assert read(headers) == [Quota("requests", 60, 7, 60.0), Quota("tokens", 50000, 0, 60.0)]


def test_cerebras() -> None:
    headers = x_ratelimit("requests-day", 14400, 0, "33011.382867") | x_ratelimit("tokens-minute", 60000, 0, "11.38")
    assert read(headers) == [Quota("tokens", 60000, 0, 11.38), Quota("requests", 14400, 0, MAX_RESET_SECONDS)]


@pytest.mark.parametrize(("remaining", "low"), [(101, False), (100, False), (99, True)])
def test_fewer_than_a_hundred_requests_are_few(remaining: int, low: bool) -> None:
    assert bool(read(x_ratelimit("requests", 500, remaining, "1s"))) is low


@pytest.mark.parametrize(("remaining", "low"), [(2000, False), (1999, True)])
def test_so_is_less_than_a_fifth_of_the_limit(remaining: int, low: bool) -> None:
    assert bool(read(x_ratelimit("requests", 10_000, remaining, "1s"))) is low


HOSTILE = [
    "",
    " ",
    "nan",
    "inf",
    "1e999",
    "-1",
    "-0",
    "1_0",
    "٣",
    "²",
    "0x0",
    "9" * 400,
    "1s2m",
    "9" * 15 + "d",
    "T",
    "0001-01-01T00:00Z",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_numbers_are_no_news(value: str) -> None:
    assert not read(x_ratelimit("requests", value, value, value))


@pytest.mark.parametrize("value", [*HOSTILE, "9999-12-31T23:59:59+00:00", str(10**14), "99999999999999999999"])
def test_hostile_resets_are_bounded(value: str) -> None:
    (quota,) = read(x_ratelimit("requests", 60, 0, value) | {"Date": value})
    assert 0 <= quota.resets_in <= MAX_RESET_SECONDS


@given(
    st.dictionaries(
        st.sampled_from([n for f in (*COMPATIBLE, *ANTHROPIC) for n in (f.limit, f.remaining, f.reset)] + ["Date"]),
        st.text(),
    )
)
def test_any_text_is_harmless(headers: dict[str, str]) -> None:
    for quota in read(headers, (*COMPATIBLE, *ANTHROPIC)):
        assert 0 <= quota.resets_in <= MAX_RESET_SECONDS
        assert quota.remaining >= 0

"""A model that is left alone until its provider takes requests again, within one process."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from prometheus_client import REGISTRY

from app.errors import ModelRateLimited, ModelUnavailable
from app.models.resting import MAX_REST_SECONDS, REASONS, Resting, credential
from app.telemetry import known_series
from tests.logged import capture_logs


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def resting(clock: Clock) -> Resting:
    return Resting("openai/m", clock=clock)


def seconds_of(resting: Resting) -> float:
    state = resting.state()
    return 0.0 if state is None else round(state[1], 3)


def hear(resting: Resting, remaining: object, reset: str = "5.0", kind: str = "requests") -> None:
    told = {"limit": "60", "remaining": str(remaining), "reset": reset}
    resting.heard(CIMultiDict({f"x-ratelimit-{part}-{kind}": value for part, value in told.items()}))


def test_a_model_is_awake_at_first(resting: Resting) -> None:
    resting.check()
    assert resting.state() is None
    assert resting.news() == ""


def test_a_rest_ends_when_the_provider_said(resting: Resting, clock: Clock) -> None:
    resting.rest(7)
    clock.now += 2
    with pytest.raises(ModelRateLimited) as caught:
        resting.check()
    assert (caught.value.reason, caught.value.cause, caught.value.retry_after) == ("resting", "rate_limited", 5)
    clock.now += 5
    resting.check()


def test_a_rest_for_another_reason_than_a_limit_is_503(resting: Resting) -> None:
    resting.rest(7, "overloaded")
    with pytest.raises(ModelUnavailable, match="Try again later"):
        resting.check()


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-10, 5000)), min_size=1))
def test_the_latest_end_counts_whatever_the_order(rests: list[tuple[float, float]]) -> None:
    clock = Clock()
    resting = Resting("openai/m", clock=clock)
    latest = 0.0
    for after, seconds in rests:
        clock.now += after
        resting.rest(seconds)
        latest = max(latest, clock.now + min(seconds, MAX_REST_SECONDS))
        assert seconds_of(resting) == pytest.approx(max(0.0, latest - clock.now), abs=0.002)


def test_no_time_named_means_a_second_and_then_twice_as_long_up_to_a_minute(resting: Resting, clock: Clock) -> None:
    rests = []
    for _ in range(8):
        resting.rest(None)
        rests.append(seconds_of(resting))
        clock.now += rests[-1]
    assert rests == [1, 2, 4, 8, 16, 32, 60, 60]
    resting.answered()
    resting.rest(None)
    assert seconds_of(resting) == 1


def test_many_calls_refused_at_once_count_as_one_for_the_backoff(resting: Resting) -> None:
    for _ in range(100):
        resting.rest(None)
    assert seconds_of(resting) == 1


@pytest.mark.parametrize(("told", "rests"), [(0, 0), (-5, 0), (float("nan"), 1), (float("inf"), 3600), (1e300, 3600)])
def test_what_a_provider_asks_is_bounded_and_zero_is_zero(resting: Resting, told: float, rests: float) -> None:
    resting.rest(told)
    assert seconds_of(resting) == rests


def test_nothing_left_by_the_headers_means_a_rest_until_their_reset(resting: Resting) -> None:
    hear(resting, 1)
    resting.check()
    hear(resting, 0)
    assert resting.state() == ("used_up", 5.0)


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_each_kind_of_limit_counts(resting: Resting, kind: str) -> None:
    hear(resting, 0, kind=kind)
    assert resting.state() == ("used_up", 5.0)


def test_what_is_new_is_told_once_and_as_it_is_then(resting: Resting, clock: Clock) -> None:
    hear(resting, 7)
    clock.now += 1
    assert resting.news() == "0 rate_limited 7 60 4000 0"
    assert resting.news() == ""
    resting.rest(2.5)
    hear(resting, 0)
    clock.now += 1
    assert resting.news(unmade=True) == "1500 used_up 0 60 4000 1"
    hear(resting, 0, kind="tokens")
    assert resting.news() == "5000 used_up -1 0 0 0"


def test_what_is_over_is_no_news(resting: Resting, clock: Clock) -> None:
    hear(resting, 7)
    resting.rest(1)
    clock.now += 10
    assert resting.news() == ""
    assert resting.news(unmade=True) == "0 rate_limited -1 0 0 1"


def test_plenty_left_is_no_news(resting: Resting) -> None:
    told = {"limit": "600", "remaining": "599", "reset": "1s"}
    resting.heard(CIMultiDict({f"x-ratelimit-{part}-requests": value for part, value in told.items()}))
    assert resting.news() == ""


def test_what_the_store_tells_is_not_told_back(resting: Resting) -> None:
    resting.told(3, "used_up")
    assert resting.state() == ("used_up", 3.0)
    assert resting.news() == ""
    resting.told(4, "a newer version's reason")
    assert resting.state() == ("overloaded", 4.0)


def series(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(name, labels)


def test_each_rest_is_logged_and_counted_once(clock: Clock) -> None:
    resting = Resting("openai/counted", clock=clock)
    with capture_logs() as lines:
        resting.rest(0)
        resting.rest(2)
        resting.rest(5)
        hear(resting, 0, "9.0")
        assert series("agent_model_resting", model="openai/counted") == 1
        clock.now += 10
        assert series("agent_model_resting", model="openai/counted") == 0
        resting.rest(1)
    rested = [line for line in lines if line["event"] == "model.resting"]
    assert [(line["model"], line["reason"], line["seconds"]) for line in rested] == [
        ("openai/counted", "rate_limited", 2),
        ("openai/counted", "rate_limited", 1),
    ]
    assert series("agent_model_rests_total", model="openai/counted", reason="rate_limited") == 2


def test_every_reason_has_its_series_from_the_start() -> None:
    assert known_series.REST_REASONS == REASONS


def test_accounts_are_told_apart_without_their_keys() -> None:
    accounts = {credential(url, key) for url in ("https://a", "https://b") for key in (None, "", "sk-1", "sk-2")}
    assert len(accounts) == 6
    assert not any("sk" in account for account in accounts)
    assert "secret" not in Resting("openai/m", credential("https://a", "secret")).key

"""The retry budget: what it can never exceed, and what there always is."""

from hypothesis import given
from hypothesis import strategies as st

from app.models.retry_budget import A_SECOND, BURST, SHARE, RetryBudget

Happening = tuple[float, int, int]
"""Seconds that pass, calls that end well, and retries that are wanted."""

happenings = st.lists(st.tuples(st.floats(0, 20), st.integers(0, 300), st.integers(0, 50)), max_size=40)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(happenings)
def test_no_window_has_more_retries_than_its_calls_and_its_time_allow(story: list[Happening]) -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    told: list[tuple[float, int, int]] = []
    for seconds, good, wanted in story:
        clock.now += seconds
        for _ in range(good):
            budget.earn()
        told.append((clock.now, good, sum(budget.take() for _ in range(wanted))))
    for first in range(len(told)):
        goods = taken = 0
        for at, good, took in told[first:]:
            goods += good
            taken += took
            # what was good before the window's beginning is in the burst
            assert taken <= BURST + A_SECOND * (at - told[first][0]) + SHARE * goods + 1e-6


@given(happenings)
def test_there_are_three_a_second_however_badly_it_goes(story: list[Happening]) -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    for seconds, _, wanted in story:
        clock.now += seconds
        for _ in range(wanted):
            budget.take()
    clock.now += 1.001
    assert [budget.take() for _ in range(3)] == [True] * 3


def test_a_thousand_failures_at_once_are_at_most_210_retries_in_the_next_minute() -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    taken = sum(budget.take() for _ in range(1000))
    for _ in range(600):
        clock.now += 0.1
        taken += sum(budget.take() for _ in range(10))
    assert 180 <= taken <= 210


def test_good_calls_earn_a_fifth_of_a_retry_each() -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    while budget.take():
        pass
    for _ in range(10):
        budget.earn()
    assert [budget.take() for _ in range(3)] == [True, True, False]


def test_an_idle_model_saves_up_no_more_than_a_burst() -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    clock.now += 3600
    assert sum(budget.take() for _ in range(100)) == BURST

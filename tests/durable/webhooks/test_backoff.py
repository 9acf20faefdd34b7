"""When a delivery that failed is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from app.durable.webhooks.backoff import AS_DOCUMENTED, Backoff

HOUR = 3600.0
DAY = 24 * HOUR
BACKOFFS = st.builds(
    Backoff,
    first_seconds=st.floats(0.01, 60),
    factor=st.floats(1, 10),
    longest_seconds=st.floats(60, 4 * HOUR),
    jitter=st.floats(0, 0.5),
)
ASKED = st.none() | st.floats(0, 10 * DAY)


def attempts(backoff: Backoff) -> list[float]:
    """The times of all, in seconds after the first."""
    made = [0.0]
    while (pause := backoff.pause(len(made), made[-1])) is not None:
        made.append(made[-1] + pause)
    return made


def test_the_attempts_are_as_documented() -> None:
    exact = [round(at) for at in attempts(Backoff(jitter=0.0))]
    assert exact == [0, 5, 25, 105, 425, 1705, 6825, 21225, 35625, 50025, 64425, 78825, 86400]


def test_attempts_end_after_a_day() -> None:
    for _ in range(100):
        made = attempts(AS_DOCUMENTED)
        assert DAY - 1 < made[-1] < DAY + 1
        assert 11 <= len(made) <= 17


@given(BACKOFFS, st.integers(1, 50), st.floats(0, 2 * DAY), ASKED)
def test_a_pause_keeps_within_its_bounds(backoff: Backoff, made: int, since: float, asked: float | None) -> None:
    pause = backoff.pause(made, since, asked)
    if since >= DAY:
        assert pause is None
        return
    assert pause is not None
    longest = backoff.longest_seconds * (1 + backoff.jitter)
    assert 0 < pause <= min(longest, DAY - since)
    if asked is not None:
        assert pause >= min(asked, backoff.longest_seconds, DAY - since)


@given(st.integers(1, 6))
def test_receivers_that_failed_together_are_not_tried_together(made: int) -> None:
    assert len({AS_DOCUMENTED.pause(made, 0.0) for _ in range(20)}) == 20

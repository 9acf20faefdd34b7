"""Runs that can be marked: in a process and on a server alike."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict

from app.ids import new_id
from app.settings import load
from app.state import feedback
from app.state.feedback import Feedback, FeedbackInProcess, FeedbackInStore, KeptRun, Marks, build_feedback
from app.state.in_process import InProcessStore
from app.state.redis import connect
from tests.logged import capture_logs
from tests.redis_server import RedisServer, free_port

RUN = KeptRun("default", "0af7651916cd43dd8448eb211c80319c", "8448eb211c80319c")
MARKS = st.builds(
    Marks,
    st.none() | st.booleans(),
    st.none() | st.booleans(),
    st.none() | st.integers(0, 100).map(lambda percent: percent / 100),
    st.none() | st.text(max_size=20),
)


@pytest.fixture(params=["process", "server"])
async def kept(request: pytest.FixtureRequest) -> AsyncIterator[Feedback]:
    if request.param == "process":
        yield build_feedback(InProcessStore(), load(None))
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    store = connect(server.url)
    records = build_feedback(store, load(None, redis_url=server.url))
    yield records
    await records.aclose()
    await store.aclose()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(marks=st.lists(MARKS, max_size=4))
async def test_the_last_mark_of_each_kind_is_kept(kept: Feedback, marks: list[Marks]) -> None:
    run_id = new_id()
    kept.keep("ada", run_id, RUN)
    expected: dict[str, Any] = asdict(RUN)
    for each in marks:
        marked = await kept.mark("ada", run_id, each)
        assert marked is not None
        assert asdict(marked.before) == expected
        expected |= {kind: mark for kind, mark in asdict(each).items() if mark is not None}
        expected["was_escalated"] = bool(expected["was_escalated"] or expected["escalated"])
        assert asdict(marked.after) == expected


async def test_nobody_elses_run_is_there(kept: Feedback) -> None:
    kept.keep("ada", "run", RUN)
    assert await kept.mark("bob", "run", Marks(True)) is None
    assert await kept.mark("ada", "another", Marks(True)) is None
    assert await kept.mark("ada", "run", Marks(True)) is not None


async def test_a_process_keeps_a_bounded_number_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feedback, "MOST_IN_PROCESS", 2)
    kept = FeedbackInProcess(1000)
    for run_id in ("a", "b", "c"):
        kept.keep("ada", run_id, RUN)
    found = [await kept.mark("ada", run_id, Marks(True)) is not None for run_id in ("a", "b", "c")]
    assert found == [False, True, True]
    gone = FeedbackInProcess(0)
    gone.keep("ada", "a", RUN)
    assert await gone.mark("ada", "a", Marks(True)) is None


async def test_a_store_that_is_away_costs_a_line_and_nothing_else() -> None:
    store = connect(f"redis://127.0.0.1:{free_port()}")
    kept = FeedbackInStore(store, 100)
    with capture_logs() as lines:
        kept.keep("ada", "a", RUN)
        await kept.aclose()
    assert [line["event"] for line in lines] == ["feedback.run_lost"]
    await store.aclose()

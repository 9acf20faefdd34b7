"""What holds of a run's progress and of its stream, whatever comes in whatever pieces."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.progress.events import Event, read_events
from app.progress.printable import on_one_line, printable
from app.progress.run_progress import RunProgress
from tests.progress.contract import RUN, Told, token, tool, usage

STEPS = st.lists(
    st.one_of(
        st.text(max_size=5).map(lambda text: (token(text), usage())),
        st.sampled_from(["call_1", "call_2"]).map(tool),
    ).map(tuple),
    max_size=8,
)
CUT = st.lists(st.one_of(st.text(max_size=5).map(token), st.just(tool("cut")[0])), max_size=4)


def numbered(told: Sequence[Told], first: int = 1) -> list[Event]:
    return [Event(number, name, data) for number, (name, data) in enumerate(told, first)]


def progress_of(events: Sequence[Event]) -> RunProgress:
    progress = RunProgress(RUN)
    for event in events:
        progress.take(event)
    return progress


def shape(progress: RunProgress) -> object:
    """What people see of it, without the numbers of events and the times."""
    tools = [(tool.id, tool.status, bool(tool.ended)) for tool in progress.tools]
    return progress.text, tools, progress.tokens, progress.cost_usd, progress.iteration


@given(STEPS, st.data())
def test_a_run_that_crashed_looks_as_if_it_had_not(steps: list[tuple[Told, ...]], data: st.DataObject) -> None:
    """Each step may be cut by a crash before it is told whole; the next worker takes that back, and tells it anew."""
    smooth = [told for step in steps for told in step]
    bumpy: list[Told] = []
    for step in steps:
        if cut := data.draw(CUT):
            bumpy += [*cut, ("run.resumed", {"discard_from": len(bumpy) + 1})]
        bumpy += step
    assert shape(progress_of(numbered(bumpy))) == shape(progress_of(numbered(smooth)))


def test_a_tool_whose_end_is_taken_back_runs_again() -> None:
    events = [*tool(), ("run.resumed", {"discard_from": 2})]
    (running,) = progress_of(numbered(events)).tools
    assert (running.ended, running.status) == (0, "")


def test_a_tools_id_may_come_again_in_the_next_iteration() -> None:
    calls = progress_of(numbered([*tool(), *tool(status="error")])).tools
    assert [call.status for call in calls] == ["ok", "error"]


@given(st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=9), max_size=2), max_size=5), st.data())
def test_a_stream_is_read_alike_in_whatever_pieces_it_comes(datas: list[dict[str, str]], data: st.DataObject) -> None:
    sent = b": still here\n\n" + b"".join(
        f"id: {number}\nevent: token\ndata: {json.dumps(each)}\n\n".encode() for number, each in enumerate(datas, 1)
    )
    sent += b"data: [DONE]\n\n"
    places = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=6)))

    async def chunks() -> AsyncIterator[bytes]:
        for begin, end in zip([0, *places], [*places, len(sent)], strict=True):
            yield sent[begin:end]

    async def read() -> list[Event]:
        return [event async for event in read_events(chunks())]

    assert asyncio.run(read()) == [Event(number, "token", each) for number, each in enumerate(datas, 1)]


@given(st.text(st.characters(), max_size=50))
def test_printable_text_has_nothing_for_a_terminal_to_act_on(text: str) -> None:
    shown = printable(text)
    assert not [each for each in shown if (ord(each) < 32 and each not in "\t\n") or 127 <= ord(each) < 160]
    assert printable(shown) == shown
    assert "\n" not in on_one_line(text)
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=50))
def test_printable_text_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.text(max_size=30), st.integers(1, 10))
def test_one_line_is_no_longer_than_it_may_be(text: str, most: int) -> None:
    assert len(on_one_line(text, most)) <= most

"""Server-sent events: however the bytes come, the events are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import ModelUnavailable
from app.models.providers import sse
from app.models.providers.sse import SseData


def read(*chunks: bytes) -> list[bytes]:
    stream = SseData()
    found = [data for chunk in chunks for data in stream.feed(chunk)]
    rest = stream.close()
    return [*found, rest] if rest else found


def test_the_data_of_each_event() -> None:
    assert read(b'data: {"a": 1}\n\ndata: [DONE]\n\n') == [b'{"a": 1}', b"[DONE]"]


def test_names_ids_and_comments_are_skipped() -> None:
    assert read(b": ping\n\nevent: x\nid: 1\ndata: a\nretry: 5\n\n: pong\ndata: b\n\n") == [b"a", b"b"]


def test_the_space_may_be_missing() -> None:
    assert read(b"data:a\n\ndata:[DONE]\n\n") == [b"a", b"[DONE]"]


def test_carriage_returns() -> None:
    assert read(b"data: a\r\n\r\nevent: x\r\ndata: b\r\n\r\n") == [b"a", b"b"]


def test_data_in_several_lines() -> None:
    assert read(b'data: {"a":\ndata: 1}\n\n') == [b'{"a":\n1}']


def test_more_blank_lines_than_needed() -> None:
    assert read(b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n") == [b"a", b"b"]


def test_the_last_event_may_lack_its_blank_line() -> None:
    assert read(b"data: a\n\ndata: [DONE]") == [b"a", b"[DONE]"]
    assert read(b"data: a\n\ndata: [DONE]\n") == [b"a", b"[DONE]"]


def test_an_endless_event_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 10)
    stream = SseData()
    assert stream.feed(b"data: 12345\n\n") == [b"12345"]
    with pytest.raises(ModelUnavailable):
        stream.feed(b"data: 123456")


TEXTS = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1), max_size=5)


@given(TEXTS, st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_chunks_may_end_anywhere(texts: list[str], newline: str, data: st.DataObject) -> None:
    lines = "".join(f": c{newline}event: x{newline}data: {text}{newline}{newline}" for text in texts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(lines)), max_size=8)))
    chunks = [lines[start:end] for start, end in zip([0, *cuts], [*cuts, len(lines)], strict=True)]
    assert read(*chunks) == [text.encode() for text in texts]


@given(st.lists(st.integers(), min_size=1, max_size=4), st.sampled_from(["\n", "\r\n", "\r"]), st.data())
def test_events_of_json_may_lack_their_blank_lines(numbers: list[int], newline: str, data: st.DataObject) -> None:
    events = [b'{"choices":[{}],"n":%d}' % number for number in numbers] + [b"[DONE]"]
    names = data.draw(st.booleans())
    lines = b"".join((b"event: x\n" if names else b"") + b"data: %s\n" % event for event in events)
    stream = lines.replace(b"\n", newline.encode())
    cut = data.draw(st.integers(0, len(stream)))
    assert read(stream[:cut], stream[cut:]) == events


def test_json_over_several_lines_is_one_event() -> None:
    assert read(b'data: {"a": {}\ndata: }\n\n', b"data: [{}\ndata: ,{}]\n\n") == [b'{"a": {}\n}', b"[{}\n,{}]"]

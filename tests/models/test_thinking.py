"""Reasoning between tags is told from the answer, however its text is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.providers.think_tags import Splitter


def split(*pieces: str, opened: bool = False, cut: bool = False) -> tuple[str, str]:
    splitter = Splitter(opened=opened)
    parts = [splitter.feed(piece) for piece in pieces if piece]
    parts.append(splitter.end(cut=cut))
    return "".join(thought for thought, _ in parts), "".join(answer for _, answer in parts)


TEXTS = [
    ("<think>hm</think>Hi", "hm", "Hi"),
    ("\n<think>\nhm\n</think>\n\nHi", "\nhm\n", "Hi"),
    ("<thinking>hm</thinking>Hi <b>there</b>", "hm", "Hi <b>there</b>"),
    ("<think></think>\n\nHi", "", "Hi"),
    ("<think>a</think>\n<think>b</think>Hi", "ab", "Hi"),
    ("[THINK]hm[/THINK]Hi", "hm", "Hi"),
    ("◁think▷hm◁/think▷Hi", "hm", "Hi"),
    ("<think>a < b and </thin is no tag</think>Hi", "a < b and </thin is no tag", "Hi"),
    ("<think>never closed", "never closed", ""),
    ("Hi", "", "Hi"),
    ("  Hi\n", "", "  Hi\n"),
    ("a <think> tag and its </think> in an answer", "", "a <think> tag and its </think> in an answer"),
    ("`</think>` closes it", "", "`</think>` closes it"),
    ("<thi", "", "<thi"),
    ("x < y, [1], <", "", "x < y, [1], <"),
    ("", "", ""),
]


@pytest.mark.parametrize(("text", "thought", "answer"), TEXTS)
@given(cuts=st.lists(st.integers(0, 60), max_size=6))
def test_cut_anywhere(text: str, thought: str, answer: str, cuts: list[int]) -> None:
    ends = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert split(*pieces) == (thought, answer)
    assert split(*text) == (thought, answer)


@pytest.mark.parametrize("text", ["hm</think>\n\nHi", "<think>hm</think>Hi", "\n<think>hm</think>\nHi"])
@given(cuts=st.lists(st.integers(0, 30), max_size=6))
def test_an_opening_tag_in_the_prompt(text: str, cuts: list[int]) -> None:
    ends = sorted(min(cut, len(text)) for cut in cuts)
    pieces = [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]
    assert split(*pieces, opened=True) == ("hm", "Hi")
    assert split(*text, opened=True) == ("hm", "Hi")


def test_without_a_closing_tag_all_is_the_answer_unless_it_was_cut() -> None:
    assert split("No", " tag <", "b>", opened=True) == ("", "No tag <b>")
    assert split("Still", " thinking", opened=True, cut=True) == ("Still thinking", "")


def test_a_closing_tag_that_was_not_expected_is_told() -> None:
    splitter = Splitter()
    assert splitter.feed("hm ") == ("", "hm ")
    assert not splitter.late
    assert splitter.feed("so </thi") == ("", "so ")
    assert splitter.feed("nk>\n\nHi") == ("", "Hi")
    assert splitter.late
    assert splitter.end() == ("", "")

"""The soak's judges find what they are for: an effect that is missing, doubled or told wrongly; events; accounts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from app.progress.events import Event
from tests.durable.accounts import budget_faults, usage_faults
from tests.durable.deeds import Ledger
from tests.durable.followed import Followed


def faults(folder: Path, *deeds: str, send: str = "ok") -> str:
    (folder / "ledger").write_text("".join(f"{deed}\n" for deed in deeds))
    record = {"answer": {"tool_calls": [{"name": "send", "status": send}]}}
    return "; ".join(Ledger(folder / "ledger").faults({"r": record}))


def test_effects_that_happened_once_are_good(tmp_path: Path) -> None:
    assert not faults(tmp_path, "charge r k 1", "send r - 1", "look r - 1")
    assert not faults(tmp_path, "charge r k 1", "charge r k 2", "look r - 1", "look r - 2", "send r - 1")


@pytest.mark.parametrize("sent", [0, 1])
def test_a_letter_that_may_have_been_sent_is_good_when_it_is_said_so(sent: int, tmp_path: Path) -> None:
    assert not faults(tmp_path, "charge r k 1", *["send r - 1"] * sent, send="unknown")


@pytest.mark.parametrize(
    ("deeds", "send", "said"),
    [
        (["charge r k 1", "charge r other 1", "send r - 1"], "ok", "charged with the keys ['k', 'other']"),
        (["charge r - 1", "send r - 1"], "ok", "charged with the keys ['-']"),
        (["send r - 1"], "ok", "charged with the keys []"),
        (["charge r k 1"], "ok", "sent 0 times, told ok"),
        (["charge r k 1", "send r - 1", "send r - 2"], "ok", "sent 2 times, told ok"),
        (["charge r k 1", "send r - 1", "send r - 2"], "unknown", "sent 2 times, told unknown"),
        (["charge r k 1", "send r - 1"], "error", "sent 1 times, told error"),
    ],
)
def test_effects_that_are_not_as_they_are_told_are_found(
    deeds: list[str], send: str, said: str, tmp_path: Path
) -> None:
    assert faults(tmp_path, *deeds, send=send) == f"r: {said}"


@pytest.mark.parametrize(
    ("numbers", "names", "last", "good"),
    [
        ([1, 2], ["run.started", "run.finished"], 2, True),
        ([1, 3], ["run.started", "run.finished"], 3, False),
        ([1, 1, 2], ["run.started", "run.started", "run.finished"], 2, False),
        ([1, 2], ["run.finished", "run.finished"], 2, False),
        ([1, 2], ["run.started", "token"], 2, False),
        ([1, 2], ["run.started", "run.finished"], 3, False),
    ],
)
def test_gaps_doubles_and_ends_of_a_stream_are_found(
    numbers: list[int], names: list[str], last: int, good: bool
) -> None:
    events = [(0.0, Event(number, name, {})) for number, name in zip(numbers, names, strict=True)]
    assert (not Followed("r", events, {"last_event": last}).faults()) is good


def usage(*, spent: int = 30, reserved: int = 0) -> Mapping[str, Any]:
    row = {"input_tokens": 20, "output_tokens": 10, "uncertain_tokens": 5, "cost_usd": 0.1}
    amounts = {"tokens": {"spent": spent, "reserved": reserved}, "usd": {"spent": 0.1, "reserved": 0}}
    return {"usage": [row], "budgets": [{"budget": "user", **amounts}]}


def test_budgets_have_to_be_what_was_used() -> None:
    assert not budget_faults(usage())
    assert budget_faults(usage(spent=31))
    assert budget_faults(usage(reserved=1))
    assert budget_faults({"usage": [], "budgets": []})


@pytest.mark.parametrize(("answered", "good"), [(30, True), (25, True), (24, False), (31, False)])
def test_answers_have_to_be_what_usage_has_but_for_estimates(answered: int, good: bool) -> None:
    assert (not usage_faults(usage(), [{"answer": {"tokens_used": answered}}])) is good

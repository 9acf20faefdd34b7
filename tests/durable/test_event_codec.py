"""Events and errors are shown after their way through the store as they are shown before."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import errors
from app.api.dialects.native.events import frames
from app.api.error_headers import headers_of, retry_after_seconds
from app.durable.event_codec import decode_error, decode_event, encode_error, encode_event, ends
from app.errors import AppError
from app.messages import Usage
from app.runs import events
from app.runs.answers import agent_answer
from app.runs.events import Answer, Event, RunFailed

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
ARGUMENTS = st.dictionaries(TEXTS, JSON, max_size=3)
STATUSES = st.sampled_from(["ok", "error", "timeout"])
AMOUNTS = st.floats(0, 1e9)
USAGE = st.builds(Usage, *[st.integers(0, 2**53)] * 4)
CALLS = st.builds(
    events.ToolCallRecord, TEXTS, ARGUMENTS, STATUSES, AMOUNTS, result=st.none() | TEXTS, error=st.none() | TEXTS
)
ANSWERS = st.builds(
    Answer,
    *[TEXTS] * 5,
    finish_reason=st.sampled_from(["stop", "max_cost"]),
    usage=USAGE,
    tokens_used=st.integers(0),
    cost_usd=AMOUNTS,
    latency_ms=AMOUNTS,
    trace_id=TEXTS,
    request_id=TEXTS,
    age_seconds=st.none() | AMOUNTS,
    sources=st.lists(TEXTS, max_size=2).map(tuple),
    degraded=st.lists(TEXTS, max_size=2).map(tuple),
    tool_calls=st.lists(CALLS, max_size=2).map(tuple),
    suggestions=st.lists(st.builds(events.Suggestion, TEXTS, TEXTS), max_size=2).map(tuple),
)
EVENTS = st.one_of(
    st.builds(events.RunStarted, *[TEXTS] * 6, headers=st.dictionaries(TEXTS, TEXTS, max_size=2)),
    st.builds(events.Token, TEXTS),
    st.builds(events.Reasoning, TEXTS),
    st.builds(events.ToolStarted, TEXTS, TEXTS, ARGUMENTS),
    st.builds(events.ToolFinished, TEXTS, TEXTS, STATUSES, AMOUNTS, st.none() | TEXTS, st.none() | TEXTS),
    st.builds(events.ModelSwitched, TEXTS, TEXTS, st.integers(0), TEXTS),
    st.builds(events.UsageReported, TEXTS, USAGE, AMOUNTS, st.integers(1, 9)),
    st.builds(
        events.ApprovalRequired,
        *[TEXTS] * 3,
        ARGUMENTS,
        st.sampled_from(["low", "high"]),
        *[TEXTS] * 2,
        st.floats(0, 1e9),
    ),
    st.builds(events.RunPaused, TEXTS, st.lists(TEXTS, max_size=2).map(tuple)),
    st.builds(events.RunResumed, st.integers(1)),
    st.builds(events.RunFinished, ANSWERS),
)
ERRORS: list[AppError] = [
    errors.InvalidRequest("d", [{"field": "f", "problem": "p"}], more=2),
    errors.ContextTooLong("d"),
    errors.ContentFiltered("d"),
    errors.RequestTooExpensive("d"),
    errors.Unauthorized("revoked"),
    errors.Unauthorized("missing"),
    errors.Forbidden.lacking("tools:x"),
    errors.NotFound("d"),
    errors.Conflict("d"),
    errors.SessionBusy("run-1"),
    errors.RunOver("run-1", "failed"),
    errors.RunCancelled(),
    errors.ApprovalOver("approval-1", "denied"),
    errors.ApprovalChanged("approval-1"),
    errors.UnsafeInput("override"),
    errors.GuardUnavailable(),
    errors.BatchOver("batch-1", "succeeded"),
    errors.TooManyBatches(3),
    errors.NoWorkers(),
    errors.KeyReused(),
    errors.EventsGone("7", 3),
    errors.TooManyRuns(3),
    errors.RunExpired("d"),
    errors.RunCrashed("d"),
    errors.MalformedRequest("d"),
    errors.RequestTimeout("d"),
    errors.HeadTooLarge("d"),
    errors.BodyTooLarge("d"),
    errors.UnsupportedMediaType("d", {"Accept": "application/json"}),
    errors.RateLimited("user", 3, policies='"user";q=5', shown=True, scope="peer"),
    errors.BudgetExceeded("team", "month", "usd", retry_after=3, resets_in=99, shared=True),
    errors.LimitsUnavailable(),
    errors.ModelRateLimited("d", reason="rate_limited", words="sk-of-somebody", retry_after=2.5),
    errors.ModelUnavailable("d", reason="auth", cause="c", provider_status=401, permanent=True),
    errors.IdentityUnavailable("d"),
    errors.StateUnavailable("d", retry_after=5),
    errors.Overloaded("d"),
    errors.ShuttingDown.now(),
    errors.DeadlineExceeded("d"),
    errors.InternalError("ünïcode\n\0"),
]


def shown(event: Event) -> bytes:
    return frames(agent_answer, "/path")(7, event)


@given(EVENTS)
def test_an_event_is_the_same_after_its_way_through_the_store(event: Event) -> None:
    line = encode_event(event)
    assert b"\n" not in line
    assert decode_event(line) == event
    assert shown(decode_event(line)) == shown(event)
    assert ends(line) == isinstance(event, events.RunFinished)


def test_every_event_is_among_those() -> None:
    drawn = {kind for kind in get_args(Event) if kind is not RunFailed}
    assert {strategy.wrapped_strategy.target for strategy in EVENTS.original_strategies} == drawn  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", ERRORS, ids=[f"{type(error).__name__}-{at}" for at, error in enumerate(ERRORS)])
def test_an_error_is_shown_as_before(error: AppError) -> None:
    line = encode_event(RunFailed(error))
    assert b"\n" not in line
    assert b"sk-of-somebody" not in line
    assert ends(line)
    again = decode_event(line)
    assert isinstance(again, RunFailed)
    assert shown(again) == shown(RunFailed(error))
    assert type(again.error) is type(error)
    assert headers_of(again.error) == headers_of(error)
    assert retry_after_seconds(again.error) == retry_after_seconds(error)
    assert str(again.error) == str(error)
    kept = {name: value for name, value in vars(error).items() if name != "words"}
    assert {name: value for name, value in vars(again.error).items() if name != "words"} == kept


def test_every_error_is_among_those_and_has_a_slug_of_its_own() -> None:
    kinds = set(_below(AppError))
    assert {type(error) for error in ERRORS} == kinds - {errors.ModelError}
    slugs = [kind.slug for kind in kinds - {errors.ModelError}]
    assert sorted(slugs) == sorted(set(slugs))


def _below(kind: type[AppError]) -> Iterator[type[AppError]]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each
        yield from _below(each)


def test_an_error_of_another_version_is_still_one() -> None:
    data: Any = encode_error(errors.NotFound("There is none.")).replace(b"not-found", b"gone-away")
    assert isinstance(decode_error(data), errors.InternalError)
    assert decode_error(data).detail == "There is none."


@pytest.mark.parametrize("line", [b"", b"token", b"nothing {}", b'token {"text":1}'])
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_event(line)

"""Each failure, and what has to follow from it: rows of data, for plain answers and for streams."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Way = Literal["plain", "stream"]
RETRIES = 1
"""MODEL_RETRIES: each of these models is called once more where its failure is retried."""

RUN_SECONDS = 3.0
"""Deadline of a run whose model says nothing; the others have a longer one."""


@dataclass(frozen=True)
class Row:
    failure: str
    outcomes: frozenset[str]
    """The call's outcome in metrics, one of these."""
    calls: frozenset[int]
    """Of the failing model, where nobody else can answer."""
    status: int = 503
    slug: str = "model-unavailable"
    retry_after: bool = True
    """Whether the caller is told when to try again."""
    fallback: bool = True
    """Whether another model answers instead."""
    waits: bool = False
    """Whether the provider asks to wait: with another model that can answer, it is asked once."""
    uncertain: bool = False
    """Whether an estimate is charged."""
    bad: bool = True
    """Whether it counts as bad for the breaker."""
    api: str = "openai"
    seconds: tuple[float, float] = (0.0, 8.0)
    finish_reasons: frozenset[str] = frozenset()
    """Of an answer that refuses."""
    ways: Sequence[Way] = ("plain", "stream")

    @property
    def judged(self) -> str:
        """A model that fails so often that its breaker has to judge it."""
        return f"{self.api}/{self.failure}~judged-{self.ways[-1]}"

    @property
    def timeout_seconds(self) -> float:
        return RUN_SECONDS if self.seconds[0] == RUN_SECONDS else 10.0


ONCE, AGAIN = frozenset({1}), frozenset({1 + RETRIES})


def row(failure: str, outcome: str, calls: frozenset[int] = ONCE, **rest: Any) -> Row:
    return replace(Row(failure, frozenset(outcome.split()), calls), **rest)


def lasting(failure: str, outcome: str) -> Row:
    """Only the operator can end it: nobody is told to try again."""
    return row(failure, outcome, retry_after=False, bad=outcome != "bad_request")


def unanswered(failure: str) -> Row:
    """A plain call has no first token: it is bounded by its run."""
    return row(
        failure,
        "timeout deadline_exceeded cancelled",
        status=504,
        slug="deadline-exceeded",
        retry_after=False,
        uncertain=True,
        seconds=(RUN_SECONDS, RUN_SECONDS + 4),
        ways=("plain",),
    )


def after_text(failure: str, outcome: str) -> Row:
    """What was sent cannot be taken back: the run ends."""
    return row(failure, outcome, fallback=False, uncertain=True, ways=("stream",))


ROWS: Sequence[Row] = (
    row("reset-before-headers", "disconnected", AGAIN, uncertain=True),
    row("closed-before-headers", "disconnected", AGAIN, uncertain=True),
    row("reset-in-headers", "disconnected", AGAIN, uncertain=True),
    row("not-http", "broken_answer", AGAIN, uncertain=True),
    row("cut", "cut_stream", AGAIN, uncertain=True, ways=("plain",)),
    after_text("cut", "cut_stream"),
    row("cut-by-reset", "cut_stream", AGAIN, uncertain=True, ways=("plain",)),
    after_text("cut-by-reset", "cut_stream"),
    row("cut-before-text", "cut_stream", AGAIN, uncertain=True),
    row("cut-in-arguments", "cut_stream", ONCE | AGAIN, uncertain=True, ways=("stream",)),
    after_text("cut-in-reasoning", "cut_stream"),
    unanswered("silent-at-once"),
    row("silent-at-once", "silent", uncertain=True, seconds=(0.5, 5), ways=("stream",)),
    unanswered("silent-before-content"),
    row("silent-before-content", "silent", uncertain=True, seconds=(0.5, 5), ways=("stream",)),
    unanswered("silent-within"),
    replace(after_text("silent-within", "stalled"), seconds=(0.5, 5)),
    row("broken-json", "broken_answer", AGAIN, uncertain=True),
    row("html", "wrong_content_type"),
    row("429", "rate_limited", AGAIN, status=429, slug="model-rate-limited", bad=False, waits=True),
    row(
        "429-seconds",
        "rate_limited",
        AGAIN,
        waits=True,
        status=429,
        slug="model-rate-limited",
        bad=False,
        seconds=(1, 9),
    ),
    row(
        "429-date",
        "rate_limited",
        AGAIN,
        waits=True,
        status=429,
        slug="model-rate-limited",
        bad=False,
        seconds=(0.5, 9),
    ),
    row("429-zero", "rate_limited", AGAIN, status=429, slug="model-rate-limited", bad=False),
    row("429-hour", "rate_limited", status=429, slug="model-rate-limited", bad=False),
    lasting("insufficient-quota", "quota"),
    row("500", "server_error", AGAIN),
    row("502", "server_error", AGAIN),
    row("503", "overloaded", AGAIN),
    row("503-seconds", "overloaded", AGAIN, waits=True, seconds=(1, 9)),
    row("504", "timeout", uncertain=True),
    row("529", "shared_overload", api="anthropic"),
    lasting("400", "bad_request"),
    lasting("401", "auth"),
    lasting("403", "auth"),
    lasting("404", "not_found"),
    row("context-too-long", "context_too_long", status=422, slug="context-too-long", retry_after=False, bad=False),
    row("filtered-prompt", "content_filtered", status=422, slug="content-filtered", retry_after=False, bad=False),
    row("content-filter", "ok", status=200, bad=False, finish_reasons=frozenset({"refusal", "content_filter"})),
    row("refusal", "ok", status=200, bad=False, finish_reasons=frozenset({"refusal"}), api="anthropic"),
    row("empty", "ok", frozenset({2}), bad=False),
    unanswered("slow"),
    row("slow", "silent", uncertain=True, seconds=(0.5, 5), ways=("stream",)),
    row("cut-before-text", "cut_stream", AGAIN, uncertain=True, api="ollama"),
    row("cut-before-text", "cut_stream", AGAIN, uncertain=True, api="anthropic"),
    replace(after_text("cut", "cut_stream"), api="ollama"),
    replace(after_text("cut", "cut_stream"), api="anthropic"),
    replace(after_text("silent-within", "stalled"), api="anthropic", seconds=(0.5, 5)),
    replace(after_text("silent-within", "stalled"), api="ollama", seconds=(0.5, 5)),
    row("503", "overloaded", AGAIN, api="anthropic"),
    row("503", "overloaded", AGAIN, api="ollama"),
)

JUDGED = [one for one in ROWS if one.seconds[0] != RUN_SECONDS and one.failure != "503-seconds"]
"""All but those that take as long as a run may, and the one whose model rests before its breaker has seen enough."""

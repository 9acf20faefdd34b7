"""The goals of the project and whether a run of the benchmark met them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.cells import Cell
from bench.outcome import Outcome, cpu_per_token
from bench.targets import (
    AGENT_API,
    AIOHTTP,
    CACHED,
    HTTPX,
    LIMITED,
    LITELLM,
    RESILIENT,
    RESUMABLE,
    UNGUARDED,
    UNLIMITED,
    UNRESILIENT,
    UNWATCHED,
    WORKERLESS,
)

_OF_AIOHTTP = {16: 0.5, 64: 0.5, 256: 0.4}
_OF_LITELLM = 15
_ON_TO_OFF = (
    ("limits", LIMITED, UNLIMITED, 0.85),
    ("resilience", RESILIENT, UNRESILIENT, 0.97),
    ("the answer cache", CACHED, AGENT_API, 0.92),
    ("telemetry", AGENT_API, UNWATCHED, 0.8),
    ("idle workers", AGENT_API, WORKERLESS, 0.97),
    ("guards and redaction", AGENT_API, UNGUARDED, 0.9),
)
_P99_TO_P50 = 3
_TOKEN_MICROSECONDS = {"stream": 20, "paced": 80}
_RESUMABLE_MICROSECONDS = 3  # a token more
_RESUMABLE_MILLISECONDS = 1  # until the first token, more, where nothing else is going on
_REDACTION_MICROSECONDS = 5  # a token more
_HELD_MEGABYTES = 50
_IDLE_MEGABYTES = 110


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table."""

    what: str
    goal: str
    measured: str
    met: bool


def judge(outcome: Outcome) -> Iterator[Goal]:
    """Every goal for which there are figures."""
    for cell in outcome.cells:
        if cell.kind != "paced":
            yield from _throughput(outcome, cell)
    for cell in outcome.cells:
        p50, p99 = outcome.median(AGENT_API, cell, "p50_ms"), outcome.median(AGENT_API, cell, "p99_ms")
        if p50 and p99:
            yield _at_most(f"p99 to p50, {cell}", p99 / p50, _P99_TO_P50, "{:.1f}")
    for cell in outcome.cells:
        cost = outcome.median_of(AGENT_API, cell, cpu_per_token)
        if cell.kind in _TOKEN_MICROSECONDS and cost:
            yield _at_most(f"CPU a token, {cell}", cost, _TOKEN_MICROSECONDS[cell.kind], "{:.1f} µs")
    for cell in outcome.cells:
        plain, kept = (outcome.median_of(target, cell, cpu_per_token) for target in (AGENT_API, RESUMABLE))
        if cell.kind == "stream" and plain and kept:
            yield _at_most(
                f"CPU a token of resumable streams, more, {cell}", kept - plain, _RESUMABLE_MICROSECONDS, "{:.1f} µs"
            )
    for cell in outcome.cells:
        plain, kept = (outcome.median(target, cell, "first_token_p50_ms") for target in (AGENT_API, RESUMABLE))
        if cell.kind == "stream" and cell.connections == 1 and plain and kept:
            yield _at_most(
                f"first token of resumable streams, later, {cell}", kept - plain, _RESUMABLE_MILLISECONDS, "{:.2f} ms"
            )
    for cell in outcome.cells:
        with_, without = (outcome.median_of(target, cell, cpu_per_token) for target in (AGENT_API, UNGUARDED))
        if cell.kind == "stream" and with_ and without:
            yield _at_most(
                f"CPU a token of guards and redaction, more, {cell}",
                with_ - without,
                _REDACTION_MICROSECONDS,
                "{:.1f} µs",
            )
    if memory := outcome.memory.get(AGENT_API):
        more = (memory.held_bytes - memory.idle_bytes) / 1e6
        goal = _HELD_MEGABYTES * memory.streams / 1000
        yield _at_most(f"{memory.streams} open streams above idle", more, goal, "{:.1f} MB")
        yield _at_most("resident when ready", memory.ready_bytes / 1e6, _IDLE_MEGABYTES, "{:.1f} MB")


def _throughput(outcome: Outcome, cell: Cell) -> Iterator[Goal]:
    share = outcome.ratio(AGENT_API, AIOHTTP, cell)
    if share is not None and cell.connections in _OF_AIOHTTP:
        yield _at_least(f"requests/s to the aiohttp floor, {cell}", share, _OF_AIOHTTP[cell.connections])
    share = outcome.ratio(AGENT_API, HTTPX, cell)
    if share is not None:
        yield _at_least(f"requests/s to the httpx floor, {cell}", share, 1)
    share = outcome.ratio(AGENT_API, LITELLM, cell)
    if share is not None:
        yield _at_least(f"requests/s to LiteLLM, {cell}", share, _OF_LITELLM)
    for what, target, to, goal in _ON_TO_OFF:
        share = outcome.ratio(target, to, cell)
        if share is not None:
            yield _at_least(f"requests/s with {what} to without, {cell}", share, goal)


def _at_least(what: str, value: float, goal: float) -> Goal:
    return _goal(what, value, goal, "{:.2f}", "≥", value >= goal)


def _at_most(what: str, value: float, goal: float, form: str) -> Goal:
    return _goal(what, value, goal, form, "≤", value <= goal)


def _goal(what: str, value: float, goal: float, form: str, sign: str, met: bool) -> Goal:
    show: Callable[[float], str] = form.format
    return Goal(what, f"{sign} {show(goal)}", show(value), met)

from dataclasses import replace

from bench import goals, report
from bench.cells import Cell, Memory
from bench.measurement import Result
from bench.outcome import Outcome
from bench.targets import AGENT_API, AIOHTTP, CACHED, HTTPX, LITELLM, RESILIENT, RESUMABLE, UNRESILIENT


def result(requests: int, *, cpu: float = 1.0, p50: float = 1.0, p99: float = 2.0) -> Result:
    return Result(seconds=1.0, requests=requests, server_cpu_seconds=cpu, p50_ms=p50, p99_ms=p99)


def verdicts(outcome: Outcome) -> dict[str, bool]:
    return {goal.what: goal.met for goal in goals.judge(outcome)}


def test_throughput_is_judged_by_the_median_of_the_rounds_ratios() -> None:
    cell = Cell("plain", 64)
    outcome = Outcome(cells=[cell])
    for ours, theirs in ((600, 1000), (600, 1100), (100, 1000)):
        outcome.add(AGENT_API, cell, result(ours))
        outcome.add(AIOHTTP, cell, result(theirs))
        outcome.add(HTTPX, cell, result(ours + 1))
        outcome.add(LITELLM, cell, result(ours // 20))
    assert verdicts(outcome) == {
        "requests/s to the aiohttp floor, plain 64": True,
        "requests/s to the httpx floor, plain 64": False,
        "requests/s to LiteLLM, plain 64": True,
        "p99 to p50, plain 64": True,
    }


def test_what_a_feature_costs_is_judged_by_the_ratio_of_on_to_off() -> None:
    cell = Cell("plain", 16)
    outcome = Outcome(cells=[cell])
    for target, requests in ((RESILIENT, 970), (UNRESILIENT, 1000), (CACHED, 919), (AGENT_API, 1000)):
        outcome.add(target, cell, result(requests))
    assert verdicts(outcome) == {
        "requests/s with resilience to without, plain 16": True,
        "requests/s with the answer cache to without, plain 16": False,
        "p99 to p50, plain 16": True,
    }


def test_a_token_carries_its_share_of_the_whole_request() -> None:
    streamed, paced = Cell("stream", 16), Cell("paced", 64)
    outcome = Outcome(cells=[streamed, paced])
    outcome.add(AGENT_API, streamed, result(1000, cpu=1.28))
    outcome.add(AGENT_API, paced, result(100, cpu=0.6, p99=4))
    assert verdicts(outcome) == {
        "p99 to p50, stream 16": True,
        "p99 to p50, paced 64": False,
        "CPU a token, stream 16": True,
        "CPU a token, paced 64": False,
    }


def test_the_first_token_of_a_stream_that_is_kept_is_compared_with_that_of_one_that_is_not() -> None:
    cell = Cell("stream", 1)
    outcome = Outcome(cells=[cell])
    for target, first, cpu in ((AGENT_API, 1.0, 1.28), (RESUMABLE, 2.1, 1.4)):
        outcome.add(target, cell, replace(result(1000, cpu=cpu), first_token_p50_ms=first))
    found = verdicts(outcome)
    assert found["CPU a token of resumable streams, more, stream 1"] is True
    assert found["first token of resumable streams, later, stream 1"] is False


def test_memory_is_judged_above_idle_and_by_the_number_of_streams() -> None:
    outcome = Outcome(memory={AGENT_API: Memory(500, 100_000_000, 105_000_000, 131_000_000)})
    assert verdicts(outcome) == {"500 open streams above idle": False, "resident when ready": True}


def test_errors_and_silence_are_problems_and_stand_in_the_report() -> None:
    cell = Cell("plain", 1)
    outcome = Outcome(cells=[cell])
    outcome.add(AIOHTTP, cell, Result(seconds=1, requests=5, errors=2, error_samples=["status: 500"]))
    outcome.add(HTTPX, cell, Result(seconds=1))
    assert len(outcome.problems) == 2
    text = report.markdown(outcome)
    assert "status: 500" in text
    assert "no answer at all" in text

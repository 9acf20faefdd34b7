"""One ledger: answers, log lines, spans, metrics, /usage, budgets and the provider agree to the token.

A service under a mixed load: streams that are cut, clients that leave at any moment, refusals, fallbacks, tools, the
cache, limits.
"""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.ledger import books
from tests.ledger.load import load, misbehaving, sluggish
from tests.resilience.acts import answer
from tests.resilience.asking import Outcome
from tests.resilience.books import PRICE, Metrics
from tests.resilience.provider import Provider
from tests.resilience.serving import refs, service_of, write_agents
from tests.telemetry.collector import Collector

SEED = random.randrange(1_000_000)
RUNS, LEFT, CACHED, LIMITED = 60, 40, 3, 2
STAYED = RUNS + CACHED + LIMITED + 1
"""The rest have left, some of them before they had asked."""

FIRST, SECOND, SLUGGISH = "first", "second", "sluggish"
ENDS = ("agent.request.success", "agent.request.failed")


class Loaded:
    """A service after the load."""

    def __init__(self, folder: Path, provider: Provider, collector: Collector) -> None:
        self.provider, self.collector = provider, collector
        chance = random.Random(SEED)
        provider.does(FIRST, misbehaving())
        provider.does(SECOND, lambda _, call: answer(call))
        provider.does(SLUGGISH, sluggish(chance))
        options = {ref: {"price": PRICE, "reasons": ref.endswith(SLUGGISH)} for ref in refs((FIRST, SECOND, SLUGGISH))}
        self.service = service_of(
            folder / "service",
            provider,
            (FIRST, SECOND, SLUGGISH),
            model_options=json.dumps(options),
            agents_dir=write_agents(folder / "agents", {"default": refs((FIRST, SECOND)), "left": refs((SLUGGISH,))}),
            answer_cache="true",
            budget_user_day_tokens=10_000_000,
            limits='{"tiers": {"anonymous": {"agent": {"per_minute": 1}}}}',
            otel_exporter_otlp_endpoint=collector.endpoint,
            otel_bsp_schedule_delay=100,
        )
        self._chance = chance
        self.outcomes: list[Outcome] = []
        """Of those who stayed."""

    def load(self) -> None:
        self.service.ask("POST", "/agent/run", {"query": "The one that is let in.", "agent": "default"})
        counts = {"runs": RUNS, "left": LEFT, "cached": CACHED, "limited": LIMITED}
        self.outcomes = asyncio.run(load(self.service.url, self._chance, **counts))
        self._wait(lambda: self.service.metrics()["agent_active_requests"] == 0, "the requests to end")
        self._wait(lambda: books.reserved(self.service) == 0, "the runs to be settled")
        time.sleep(0.1)  # for the last lines to be written

    @property
    def requests(self) -> list[books.Line]:
        """The lines of requests for runs."""
        return [line for line in self.service.log("request") if "outcome" in line]

    @property
    def ends(self) -> list[books.Line]:
        return [line for event in ENDS for line in self.service.log(event)]

    @property
    def calls(self) -> list[books.Line]:
        return [dict(line) for line in self.service.log("llm_call")]

    def _wait(self, reached: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + 10
        while not reached():
            assert time.monotonic() < end, f"waited for {what}"
            time.sleep(0.05)

    def wait_for_spans(self) -> None:
        def roots() -> int:
            return sum(span.name.startswith("invoke_agent") for span in self.collector.spans)

        self._wait(lambda: roots() == len(self.ends), "the spans of all runs")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    with Provider() as provider, Collector() as collector:
        found = Loaded(tmp_path_factory.mktemp("ledger"), provider, collector)
        try:
            found.load()
            yield found
        finally:
            found.service.end()


def test_the_load_was_mixed(loaded: Loaded) -> None:
    outcomes = Counter(line["outcome"] for line in loaded.ends)
    assert {"ok", "client_gone", "limited", "failed_model"} <= outcomes.keys(), (SEED, outcomes)
    assert any(line["fallback_from"] for line in loaded.ends), SEED
    assert sum(line["cached"] for line in loaded.ends) == CACHED - 1
    assert loaded.service.log("tool_call")
    assert any(line.get("uncertain") and line["output_tokens"] for line in loaded.calls), SEED


def test_every_run_is_counted_once_and_its_request_says_what_it_came_to(loaded: Loaded) -> None:
    ends, requests = loaded.ends, loaded.requests
    assert STAYED < len(ends) == len(requests) <= STAYED + LEFT, SEED
    said = ("run_id", "outcome", "tokens", "cost_usd", "attempts", "model", "cached")
    by_run = {line["run_id"]: line for line in ends}
    for request in requests:
        assert {name: request[name] for name in said} == {name: by_run[request["run_id"]][name] for name in said}
    assert Counter(line["outcome"] for line in ends) == books.outcomes_by_metrics(loaded.service), SEED


def test_a_stream_that_is_cut_after_its_first_byte_has_failed_at_status_200(loaded: Loaded) -> None:
    cut = [line for line in loaded.requests if line["status"] == 200 and line["outcome"] == "failed_model"]
    assert cut, SEED
    series = Metrics([loaded.service]).of("agent_requests_total", endpoint="/chat/stream", status="200")
    assert len(cut) == sum(value for labels, value in series if labels["outcome"] == "failed_model")


def test_answers_say_what_the_log_says(loaded: Loaded) -> None:
    logged = {line["run_id"]: (line["tokens"], line["attempts"]) for line in loaded.ends}
    answers = books.by_answers(loaded.outcomes)
    assert len(answers) > RUNS / 2, SEED
    assert {run: logged[run] for run in answers} == answers, SEED


def test_a_run_has_the_tokens_and_the_number_of_its_calls_however_it_ended(loaded: Loaded) -> None:
    called = books.tokens_by_request(loaded.calls)
    nothing = (0, 0)
    differing = [
        (line, called.get(line["request_id"], nothing))
        for line in loaded.ends
        if (line["tokens"], line["attempts"]) != called.get(line["request_id"], nothing)
    ]
    assert differing == [], SEED


def test_lines_metrics_usage_and_budget_are_the_same_to_the_token(loaded: Loaded) -> None:
    runs = books.by_runs(loaded.ends)
    assert runs.uncertain > 0, SEED
    accounts = {
        "runs": runs,
        "calls": books.by_calls(loaded.calls),
        "metrics": books.by_metrics(loaded.service),
        "usage": books.by_usage(loaded.service),
    }
    assert len(set(accounts.values())) == 1, (SEED, accounts)
    assert books.by_budget(loaded.service) == runs.tokens, SEED


def test_what_is_no_estimate_is_what_the_provider_counted(loaded: Loaded) -> None:
    runs = books.by_runs(loaded.ends)
    assert runs.tokens - runs.uncertain == books.by_provider(loaded.provider), SEED


def test_spans_have_the_same_tokens(loaded: Loaded) -> None:
    loaded.wait_for_spans()
    assert books.by_spans(loaded.collector.spans) == books.by_runs(loaded.ends).tokens, SEED

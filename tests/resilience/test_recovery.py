"""With STREAM_RECOVERY=continue another model goes on with a stream that broke: once, from the character where it
broke, and neither within the arguments of a tool call nor within reasoning."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from tests.resilience.acts import WHOLE, Act, Call, answer
from tests.resilience.asking import Callers, Outcome
from tests.resilience.books import Metrics, Usage, by_provider
from tests.resilience.provider import Provider
from tests.resilience.serving import service_of, write_agents
from tests.service import Service

BEFORE = "One two"
WELL, CUT = "openai/well", "openai/cut~next"
RECOVERED = (
    "openai/cut",
    "openai/cut-by-reset",
    "openai/silent-within",
    "anthropic/cut",
    "anthropic/silent-within",
    "ollama/cut",
)
LOST = ("openai/cut-in-reasoning",)
TWICE = "twice"
"""An agent whose second model breaks as well."""

AGENTS = {ref.replace("/", "-"): [ref, WELL] for ref in (*RECOVERED, *LOST)} | {TWICE: ["openai/cut~first", CUT, WELL]}


@dataclass(frozen=True)
class Played:
    provider: Provider
    service: Service
    outcomes: Mapping[str, Outcome]
    asked: list[Call]
    """Of the model that is well."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    folder = tmp_path_factory.mktemp("recovery")
    asked: list[Call] = []

    def remember(_: int, call: Call) -> Act:
        asked.append(call)
        return answer(call)

    with Provider() as provider:
        provider.does("well", remember)
        service = service_of(
            folder,
            provider,
            list(dict.fromkeys(ref for refs in AGENTS.values() for ref in refs)),
            agents_dir=write_agents(folder / "agents", AGENTS),
            ollama_api_base=provider.url,
            anthropic_base_url=provider.url,
            anthropic_api_key="sk-ant-of-the-service",
            stream_recovery="continue",
            content_gap_timeout_seconds=0.5,
        )
        outcomes = asyncio.run(_ask(service))
        provider.wait_until(lambda _: provider.open_calls() == 0)
        yield Played(provider, service, outcomes, asked)
        service.end()


async def _ask(service: Service) -> dict[str, Outcome]:
    async with Callers() as callers:
        asked = (callers.ask(service.url, stream=True, agent=agent) for agent in AGENTS)
        return dict(zip(AGENTS, await asyncio.gather(*asked), strict=True))


@pytest.mark.parametrize("ref", RECOVERED)
def test_the_next_model_goes_on_where_the_stream_broke(played: Played, ref: str) -> None:
    outcome = played.outcomes[ref.replace("/", "-")]
    assert (outcome.status, outcome.text, outcome.told["answer"]) == (200, BEFORE + WHOLE, BEFORE + WHOLE)
    assert (outcome.told["model"], outcome.told["fallback_from"]) == (WELL, ref)
    at = outcome.events.index("model.switched")
    assert outcome.events[:at].count("token") >= 2
    assert outcome.switches == [{"from": ref, "to": WELL, "at_char": len(BEFORE)}]


def test_it_is_asked_to_by_the_user_and_given_the_text_as_it_was_sent(played: Played) -> None:
    goes_on = [call for call in played.asked if call.body["messages"][-2]["role"] == "assistant"]
    assert len(goes_on) == len(RECOVERED)
    for call in goes_on:
        *_, cut, asking = call.body["messages"]
        assert cut["content"] == BEFORE
        assert asking["role"] == "user"


@pytest.mark.parametrize("ref", LOST)
def test_nothing_goes_on_within_reasoning(played: Played, ref: str) -> None:
    outcome = played.outcomes[ref.replace("/", "-")]
    assert (outcome.status, outcome.events[-1], outcome.text) == (503, "run.failed", "")


def test_an_answer_is_continued_once(played: Played) -> None:
    outcome = played.outcomes[TWICE]
    assert (outcome.status, outcome.events[-1]) == (503, "run.failed")
    assert outcome.text == BEFORE + BEFORE
    assert len(outcome.switches) == 1


def test_both_calls_are_billed(played: Played) -> None:
    metrics, usage = Metrics([played.service]), Usage(played.service)
    for ref in (*RECOVERED, *LOST, CUT):
        uncertain = metrics.count(ref).uncertain
        assert uncertain > 0
        assert usage.of(ref).tokens == uncertain
    count = metrics.count(WELL)
    assert (count.input, count.output) == by_provider(played.provider, "well")
    told = sum(outcome.tokens for outcome in played.outcomes.values() if outcome.status == 200)
    assert told == usage.of(WELL).tokens + sum(usage.of(ref).tokens for ref in RECOVERED)

"""What a run costs, and the most that it may, with a model that has a price."""

from collections.abc import Iterator

import pytest

from app.messages import ToolCall, Usage
from tests.models.dialects import AnthropicDialect, Script
from tests.service import Service, problem_of
from tests.upstream import Upstream

CALL = ToolCall("call_1", "calculator", {"expression": "6*7"})
ASKS = AnthropicDialect().plain(Script((), [CALL], usage=Usage(1000, 400)))
SAYS = AnthropicDialect().plain(Script(["hello"], usage=Usage(1000, 400)))


@pytest.fixture(scope="module")
def dear(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> Iterator[Service]:
    service = Service(
        tmp_path_factory.mktemp("dear"),
        models="anthropic/claude-haiku-4-5",
        anthropic_base_url=_upstream.url,
        anthropic_api_key="sk-ant-of-the-service",
    )
    yield service
    service.end()


def test_an_answer_tells_what_it_cost(dear: Service, upstream: Upstream) -> None:
    upstream.will(SAYS)
    body = dear.chat("hi").json()
    assert body["cost_usd"] == pytest.approx(1000 * 1e-6 + 400 * 5e-6)
    assert dear.metrics()['agent_cost_usd_total{model="anthropic/claude-haiku-4-5"}'] >= body["cost_usd"]


def test_the_most_cost_ends_a_run(dear: Service, upstream: Upstream) -> None:
    upstream.will(ASKS)
    body = dear.ask("POST", "/agent/run", {"query": "go", "max_cost_usd": 0.01}).json()
    assert body["finish_reason"] == "max_cost"
    assert 0 < body["cost_usd"] <= 0.01
    assert len(upstream.calls) == body["iterations"] > 1


def test_a_run_that_may_cost_less_than_its_first_call_is_refused(dear: Service, upstream: Upstream) -> None:
    problem_of(dear.ask("POST", "/agent/run", {"query": "go", "max_cost_usd": 1e-9}), 422, "request-too-expensive")
    assert not upstream.calls

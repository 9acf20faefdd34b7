"""Retries: after which failures, after how long, and within what bounds."""

import asyncio
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from app.errors import ModelRateLimited, ModelUnavailable
from app.models.failure_table import RETRIED, TABLE
from app.models.observed import ObservedModel
from app.models.providers.http import Http
from app.models.providers.openai.model import OpenAIModel
from app.models.resilient import ResilientModel
from app.models.retries import FIRST_SECONDS, LONGEST_SECONDS, Retries
from app.models.retry_budget import RetryBudget
from tests.doubles import CHEAP, ScriptedModel, answers
from tests.models.dialects import OpenAIDialect
from tests.models.servers import Provider
from tests.models.whole_answer import ask

FOREVER = 1e9


def retries(number: int = 10, ref: str = "double/retried") -> Retries:
    return Retries(ref, number, 20.0, RetryBudget())


def failure(reason: str = "server_error", retry_after: float | None = None) -> ModelUnavailable:
    return ModelUnavailable("", reason=reason, retry_after=retry_after)


@given(st.integers(1, 10), st.one_of(st.none(), st.floats(0, 20)))
def test_a_wait_is_jitter_on_top_of_what_the_provider_asks_for(failed: int, retry_after: float | None) -> None:
    seconds = retries().wait(failure(retry_after=retry_after), failed, FOREVER)
    assert seconds is not None
    backoff = min(FIRST_SECONDS * 2 ** (failed - 1), LONGEST_SECONDS)
    assert (retry_after or 0) <= seconds <= (retry_after or 0) + backoff


def test_waits_are_spread_from_nothing_to_the_whole_backoff() -> None:
    waits = [retries().wait(failure(), 5, FOREVER) or 0.0 for _ in range(200)]
    assert min(waits) < LONGEST_SECONDS / 10
    assert max(waits) > LONGEST_SECONDS * 9 / 10


@pytest.mark.parametrize("reason", TABLE)
def test_the_table_says_what_is_retried(reason: str) -> None:
    error = ModelRateLimited("", reason=reason) if reason == "rate_limited" else failure(reason)
    assert (retries().wait(error, 1, FOREVER) is not None) == TABLE[reason].retry == (reason in RETRIED)


def test_a_longer_retry_after_than_is_waited_for_is_no_retry() -> None:
    assert retries().wait(failure(retry_after=20.1), 1, FOREVER) is None
    assert retries().wait(ModelRateLimited("", reason="rate_limited", retry_after=3600), 1, FOREVER) is None


def test_a_model_that_rests_is_not_called_before_its_time() -> None:
    seconds = retries().wait(failure(), 1, FOREVER, 7.0)
    assert seconds is not None
    assert seconds >= 7
    assert retries().wait(failure(), 1, FOREVER, 21.0) is None


def test_no_retry_begins_after_the_deadline() -> None:
    assert retries().wait(failure(retry_after=5), 1, 5.0) is None


def test_there_are_as_many_as_are_set() -> None:
    assert retries(2).wait(failure(), 2, FOREVER) is not None
    assert retries(2).wait(failure(), 3, FOREVER) is None
    assert retries(0).wait(failure(), 1, FOREVER) is None


def test_a_budget_that_is_used_up_allows_none() -> None:
    of_a_model = retries()
    assert sum(of_a_model.wait(failure(), 1, FOREVER) is not None for _ in range(1000)) <= 11


def test_a_deadline_takes_nothing_from_the_budget() -> None:
    of_a_model = retries()
    assert all(of_a_model.wait(failure(), 1, 0.0) is None for _ in range(100))
    assert of_a_model.wait(failure(), 1, FOREVER) is not None


def test_each_is_counted_by_what_had_failed() -> None:
    retries(ref="double/counted").wait(failure("overloaded"), 1, FOREVER)
    labels = {"model": "double/counted", "reason": "overloaded"}
    assert REGISTRY.get_sample_value("agent_retries_total", labels) == 1


def test_a_process_without_failures_loads_no_retry_library() -> None:
    code = """
import asyncio, sys
from tests.doubles import ScriptedModel, answers, CHEAP
from tests.models.test_retries import resilient
from tests.models.whole_answer import ask
asyncio.run(resilient(ScriptedModel(answers("Hi"))).generate(ask(), print))
assert not {"stamina", "tenacity"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def resilient(model: ScriptedModel, number: int = 3) -> ResilientModel:
    return ResilientModel(ObservedModel(model, CHEAP), Retries(model.ref, number, 20.0, RetryBudget()))


async def test_a_client_that_leaves_during_the_wait_causes_no_further_call() -> None:
    async with Provider() as provider:
        http = Http()
        model = OpenAIModel("left", f"{provider.url}/v1", None, http)
        reply = OpenAIDialect().error(503, "busy")
        provider.will(type(reply)(reply.pieces, 503, {"Retry-After": "0.9"}))
        called = ResilientModel(ObservedModel(model, CHEAP), Retries(model.ref, 3, 20.0, RetryBudget()))
        task = asyncio.create_task(called.generate(ask(), lambda _: None))
        await asyncio.sleep(0.3)
        assert len(provider.received) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(1)
        assert len(provider.received) == 1
        await http.aclose()


async def test_the_library_writes_no_metrics_of_its_own() -> None:
    model = ScriptedModel([failure()], answers("Hi"), name="quiet")
    await resilient(model).generate(ask(), lambda _: None)
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("stamina")]

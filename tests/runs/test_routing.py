"""`auto`: the question chooses the model of a run, once, and a session only climbs."""

import json
from typing import Any

import pytest

from app.errors import NotFound
from app.messages import Usage
from app.models.protocol import Completion
from app.runs.events import RunStarted
from tests.doubles import CHEAP, ScriptedModel, answers
from tests.logged import capture_logs
from tests.runs.test_fallback import down
from tests.stage import Stage

SMALL, LARGE = "double/small", "double/large"
TIERS = json.dumps({"simple": SMALL, "complex": LARGE})
EASY, HARD = "What is the capital of France?", "Prove that there are infinitely many primes p with p = 3 mod 4."
UNSURE = "Blorbs and the flim?"


def small(*scripts: Any) -> ScriptedModel:
    return ScriptedModel(*(scripts or (answers("small"),)), name="small")


def large(*scripts: Any) -> ScriptedModel:
    return ScriptedModel(*(scripts or (answers("large"),)), name="large")


def routed(*models: ScriptedModel, **settings: Any) -> Stage:
    return Stage(*(models or (large(), small())), model_tiers=TIERS, **settings)


@pytest.mark.parametrize(("question", "model"), [(EASY, SMALL), (HARD, LARGE), (UNSURE, LARGE)])
async def test_the_question_chooses_the_model(question: str, model: str) -> None:
    answer = await routed().answer(question, model="auto")
    assert (answer.model, answer.fallback_from, answer.attempts) == (model, None, 1)


async def test_a_request_that_names_no_model_is_routed_and_one_that_does_is_not() -> None:
    assert (await routed().answer(EASY)).model == SMALL
    assert (await routed().answer(EASY, model=LARGE)).model == LARGE


async def test_the_run_begins_before_its_model_is_chosen() -> None:
    events = await routed().events(EASY)
    assert isinstance(events[0], RunStarted)
    assert events[0].model == "auto"


async def test_the_decision_is_logged_with_its_reason() -> None:
    with capture_logs() as lines:
        await routed().answer(EASY)
    (line,) = [line for line in lines if line["event"] == "model.routed"]
    assert (line["model"], line["tier"], line["reason"]) == (SMALL, "simple", "fact")


async def test_a_session_only_climbs() -> None:
    stage = routed()
    models = [(await stage.answer(question, session_id="s")).model for question in (EASY, HARD, EASY)]
    assert models == [SMALL, LARGE, LARGE]


async def test_where_rules_are_unsure_a_model_is_asked_and_the_run_pays_for_it() -> None:
    asked = small(answers("simple", usage=Usage(100, 1)), answers("small", usage=Usage(20, 5)))
    stage = routed(large(), asked, router_model=SMALL, price=CHEAP, budget_user_day_usd=1)
    answer = await stage.answer(UNSURE)
    assert (answer.model, answer.usage, answer.iterations) == (SMALL, Usage(120, 6), 1)
    assert answer.cost_usd == pytest.approx((120 + 2 * 6) / 1e6)


async def test_a_model_that_is_down_is_answered_for_by_the_other_tier() -> None:
    answer = await routed(large(), small([down()])).answer(EASY)
    assert (answer.model, answer.fallback_from) == (LARGE, SMALL)


async def test_a_question_that_says_nothing_to_the_classifier_goes_to_the_strongest() -> None:
    silent = small([Completion("stop", Usage(10, 0))], answers("small"))
    assert (await routed(large(), silent, router_model=SMALL).answer(UNSURE)).model == LARGE


async def test_an_agent_is_routed_among_its_own_models() -> None:
    stage = routed(agents={"own": {"models": ("auto", LARGE)}, "fixed": {"models": (LARGE,)}})
    assert (await stage.answer(EASY, agent="own")).model == LARGE
    assert (await stage.answer(EASY, agent="fixed")).model == LARGE
    with pytest.raises(NotFound):
        await stage.answer(EASY, agent="fixed", model="auto")


async def test_auto_that_is_not_configured_says_what_to_do() -> None:
    with pytest.raises(NotFound, match="MODEL_TIERS"):
        await Stage(large(), small()).answer(EASY, model="auto")

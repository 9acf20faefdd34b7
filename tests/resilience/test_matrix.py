"""Each failure of a provider: what the client gets, how often the provider is called, and what the accounts say."""

from collections.abc import Iterator

import pytest

from tests.resilience.acts import WHOLE
from tests.resilience.books import by_provider
from tests.resilience.matrix import FALLBACK, Case
from tests.resilience.matrix_stage import CASES, Played, played_in
from tests.resilience.rows import JUDGED, ONCE, Row


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with played_in(tmp_path_factory.mktemp("matrix")) as played:
        yield played


each = pytest.mark.parametrize("case", CASES, ids=str)


@each
def test_the_client_is_told_what_happened(played: Played, case: Case) -> None:
    outcome, row = played.outcomes[case.name], case.row
    if case.answered:
        assert (outcome.status, outcome.text) == (200, WHOLE), outcome
        assert outcome.told["model"] == FALLBACK
        assert outcome.told["fallback_from"] == case.ref
        assert outcome.told["finish_reason"] == "stop"
        assert outcome.told["attempts"] == played.account(case).calls + 1
        return
    assert outcome.status == row.status, outcome
    if row.status == 200:
        assert outcome.told["finish_reason"] in row.finish_reasons
        assert outcome.told["fallback_from"] is None
        return
    assert outcome.slug == row.slug
    if case.way == "plain":
        assert ("Retry-After" in outcome.headers) == row.retry_after
        assert outcome.retry_after is None or 0 < outcome.retry_after <= 3600


@each
def test_a_stream_ends_with_its_end_and_says_that_the_model_has_changed(played: Played, case: Case) -> None:
    outcome = played.outcomes[case.name]
    if case.way == "plain":
        assert not outcome.events
        return
    assert outcome.events[-1] == ("run.finished" if outcome.status == 200 else "run.failed")
    assert outcome.events.count("model.switched") == int(case.answered)


@each
def test_the_provider_is_called_no_more_often_than_it_makes_sense(played: Played, case: Case) -> None:
    calls = played.account(case).calls
    assert calls in (ONCE if case.row.waits and case.with_fallback else case.row.calls)
    assert sum(played.metrics.outcomes(case.ref).values()) == calls


@each
def test_it_takes_about_the_time_that_it_should(played: Played, case: Case) -> None:
    least, most = case.row.seconds
    outcome = played.outcomes[case.name]
    assert outcome.seconds <= most + 3
    assert case.with_fallback or outcome.seconds >= least * 0.9


@each
def test_metrics_name_the_failure(played: Played, case: Case) -> None:
    assert set(played.metrics.outcomes(case.ref)) <= case.row.outcomes
    fell_back = played.metrics.sum("agent_fallbacks_total", **{"from": case.ref})
    assert fell_back == int(case.answered)


@each
def test_what_the_provider_told_and_bills_is_what_the_accounts_have(played: Played, case: Case) -> None:
    account, count = played.account(case), played.metrics.count(case.ref)
    assert (count.input, count.output) == (account.told_input, account.told_output)
    assert bool(count.uncertain) == case.row.uncertain
    assert count.uncertain or not account.cut_calls, "what was billed is not free"
    used = played.usage.of(case.ref)
    assert (used.tokens - used.uncertain, used.uncertain) == (count.input + count.output, count.uncertain)
    assert used.usd == pytest.approx(played.metrics.sum("agent_cost_usd_total", model=case.ref), abs=2e-9)


def test_the_fallback_is_called_once_for_each_case_that_it_answers(played: Played) -> None:
    account = played.provider.accounts["well"]
    assert account.calls == account.told_calls == sum(case.answered for case in CASES)
    count = played.metrics.count(FALLBACK)
    assert by_provider(played.provider, "well") == (count.input, count.output)


def test_answers_count_the_calls_that_failed_before_them(played: Played) -> None:
    answered = [case for case in CASES if played.outcomes[case.name].status == 200]
    told = sum(played.outcomes[case.name].tokens for case in answered)
    assert told == sum(played.usage.of(ref).tokens for ref in (FALLBACK, *(case.ref for case in answered)))


def test_the_budget_has_what_usage_has_and_holds_nothing_back(played: Played) -> None:
    told = played.usage.told
    (budget,) = (standing for standing in told["budgets"] if standing["budget"] == "user")
    assert budget["usd"]["reserved"] == 0
    assert budget["usd"]["spent"] == pytest.approx(told["cost_usd"], abs=1e-6)


@pytest.mark.parametrize("row", JUDGED, ids=lambda row: row.judged.replace("/", "-"))
def test_the_breaker_opens_where_the_model_is_at_fault(played: Played, row: Row) -> None:
    opened = {line["model"] for line in played.service.log("model.breaker", state="open")}
    assert (row.judged in opened) == row.bad


def test_health_names_the_models_that_are_left_alone(played: Played) -> None:
    models = played.service.client.get("/health").json()["checks"]["models"]
    resting = {ref for ref, told in models.items() if told.get("resting")}
    assert {row.judged for row in JUDGED if row.failure == "429-hour"} <= resting

"""Every alert by `promtool test rules`: it fires, and is silent where nobody has to be woken."""

import functools
import subprocess
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import pytest
import yaml

from tests.observability.conftest import RULES
from tests.observability.rule_tests import Tried, deployed, restarted, tried, verify, within
from tests.observability.series import Gauge, Series
from tests.observability.signals import ABSENT, RUNS_OF_ALL_KINDS, SIGNALS, runs

Verify = Callable[..., None]

ALERTS = {
    rule["alert"] for group in yaml.load(RULES.read_text(), yaml.CSafeLoader)["groups"] for rule in group["rules"]
}
BAD = {name: signal.bad for name, signal in SIGNALS.items()}
GOOD = {name: signal.good for name, signal in SIGNALS.items()}


@pytest.fixture
def check(promtool: str, tmp_path: Path) -> Verify:
    return functools.partial(verify, promtool, tmp_path)


def about_errors(series: tuple[Series, ...]) -> dict[str, tuple[Series, ...]]:
    return {name: series for name in SIGNALS if name.startswith("AgentApiError")}


def absence(series: tuple[Series, ...], **how: object) -> list[Tried]:
    return tried({"AgentApiAbsent": series}, what="absence", **how)  # type: ignore[arg-type] # passed on


def test_prometheus_accepts_the_rules(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tried() -> None:
    assert {*SIGNALS, "AgentApiAbsent"} == ALERTS


def test_each_fires_and_is_silent(check: Verify) -> None:
    check(tried(BAD, fires=True, what="fires") + tried(GOOD, fires=False, what="is silent"))


def test_one_of_three_is_no_alarm(check: Verify) -> None:
    """A call without a price is one from the first on, a run over which workers died, one that waited in vain, an entry
    that the record has not."""
    at_once = ("AgentApiPriceUnknown", "AgentApiDeadRuns", "AgentApiApprovalsExpired", "AgentApiAuditIncomplete")
    three = {name: signal.one_of_three for name, signal in SIGNALS.items() if name not in at_once}
    check(tried(three, fires=False, what="one of three"))


def test_a_restart_of_the_process_hides_nothing_and_raises_no_alarm(check: Verify) -> None:
    check(
        tried(BAD, fires=True, what="fires", spread=restarted)
        + tried(GOOD, fires=False, what="is silent", spread=restarted)
    )


def test_a_deploy_hides_nothing_and_raises_no_alarm(check: Verify) -> None:
    check(
        tried(BAD, fires=True, what="fires", spread=deployed)
        + tried(GOOD, fires=False, what="is silent", spread=deployed)
    )


def test_without_data_only_the_absence_of_the_service_is_an_alarm(check: Verify) -> None:
    nothing: dict[str, tuple[Series, ...]] = dict.fromkeys(SIGNALS, ())
    check(tried(nothing, fires=False, what="no data") + absence((), fires=True))


def test_the_absence_of_the_service_is_an_alarm_and_one_failed_scrape_is_none(check: Verify) -> None:
    check(
        absence(ABSENT.good, fires=False),
        absence(ABSENT.one_of_three, fires=False),
        absence(ABSENT.good, fires=False, spread=deployed),
    )


def test_the_absence_of_one_pod_of_two_is_no_alarm(check: Verify) -> None:
    pod = Gauge("agent_build_info", {"version": "1"}, (1,))
    gone = {**pod.steady("b")[0], "values": "1x14 stale"}
    check([Tried("AgentApiAbsent", "agents", tuple(within("agents", [*pod.steady("a"), gone])), fires=False)])


def test_a_healthy_service_raises_no_alarm_at_all(check: Verify) -> None:
    healthy = tried(GOOD, fires=False, what="", namespace="healthy")
    check(healthy + tried({"AgentApiAbsent": ABSENT.good}, fires=False, what="", namespace="healthy"))


def test_what_callers_did_burns_no_error_budget(check: Verify) -> None:
    check(tried(about_errors(RUNS_OF_ALL_KINDS), fires=False, what="callers"))


def test_what_the_service_did_burns_it(check: Verify) -> None:
    failures = ("failed_model", "failed_internal", "deadline")
    each = (tried(about_errors(runs(2, 3, one)), fires=True, what=one.replace("_", " ")) for one in failures)
    check(list(chain.from_iterable(each)))


def test_an_outage_that_is_over_is_no_alarm_while_the_long_window_still_sees_it(check: Verify) -> None:
    """The short window of the fastest pair is five minutes."""
    failed, fine = (f'agent_runs_total{{job="agent-api",outcome="{one}"}}' for one in ("failed_model", "ok"))
    over = ({"series": failed, "values": "0+9x12 108x12"}, {"series": fine, "values": "0+9x24"})
    check([Tried('AgentApiErrorBudgetBurnsFast",window="1h', "", over, fires=False)])

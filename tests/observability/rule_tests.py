"""What `promtool test rules` is given."""

import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from tests.observability.conftest import RULES
from tests.observability.series import MINUTES, NAMESPACE, Input, Series

Spread = Callable[[Series], list[Input]]


@dataclass(frozen=True, slots=True)
class Tried:
    """Series in a namespace, and whether they make an alert fire."""

    alert: str
    namespace: str
    series: tuple[Input, ...]
    fires: bool

    def expression(self) -> dict[str, Any]:
        firing = f'ALERTS{{alertname="{self.alert}",alertstate="firing",namespace=~"{self.namespace}|"}}'
        return {
            "expr": f"count(count by (alertname) ({firing})) or vector(0)",
            "eval_time": f"{MINUTES}m",
            "exp_samples": [{"labels": "{}", "value": int(self.fires)}],
        }


def steady(series: Series) -> list[Input]:
    return series.steady()


def restarted(series: Series) -> list[Input]:
    return series.restarted()


def deployed(series: Series) -> list[Input]:
    return series.deployed()


def tried(
    signals: Mapping[str, Iterable[Series]], *, fires: bool, what: str, spread: Spread = steady, namespace: str = ""
) -> list[Tried]:
    """Each alert with its series, in a namespace of the alert's own unless one is given."""
    return [
        Tried(alert, own, tuple(within(own, chain.from_iterable(spread(one) for one in series))), fires)
        for alert, series in signals.items()
        for own in [namespace or f"{alert}-{what}".lower().replace(" ", "-")]
    ]


def within(namespace: str, series: Iterable[Input]) -> Iterable[Input]:
    return ({**one, "series": one["series"].replace(NAMESPACE, namespace)} for one in series)


def verify(promtool: str, folder: Path, *together: list[Tried]) -> None:
    """Fails with what promtool says; what is tried in one list is one test of promtool's, of the same minutes."""
    tests = [
        {
            "interval": "1m",
            "input_series": list({one["series"]: one for case in cases for one in case.series}.values()),
            "promql_expr_test": [case.expression() for case in cases],
        }
        for cases in together
    ]
    path = folder / "alerts.test.yml"
    told = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    path.write_text(yaml.safe_dump(told, width=1000))
    done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

"""What `helm install` says at its end. Helm renders the notes only for a cluster, so here they are made a template."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART

Notes = Callable[..., str]


@pytest.fixture
def notes(helm: str, tmp_path: Path) -> Notes:
    chart = tmp_path / "agent-api"
    shutil.copytree(CHART, chart)
    text = (chart / "templates" / "NOTES.txt").read_text()
    template = '{{- define "notes" -}}\n' + text + '{{- end -}}\nnotes: {{ include "notes" . | toJson }}\n'
    (chart / "templates" / "notes.yaml").write_text(template)

    def rendered(**values: Any) -> str:
        command = [helm, "template", "agent-api", str(chart), "--namespace", "agents", "--kube-version", "1.34.0"]
        command += ["--show-only", "templates/notes.yaml", "--values", "-"]
        done = subprocess.run(command, input=yaml.safe_dump(values), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        shown: str = yaml.load(done.stdout, yaml.CSafeLoader)["notes"]
        return shown

    return rendered


def test_the_default_warns_of_nothing_but_the_demo_model(notes: Notes) -> None:
    assert re.findall(r"^NOTE: (\w+)", notes(), re.MULTILINE) == ["demo"]
    assert "$KEY" not in notes()


def test_several_pods_without_redis(notes: Notes) -> None:
    assert "each keeps sessions of its own" in notes(replicaCount=2)
    assert "each may spend budgets.globalDay.usd" in notes(autoscaling={"enabled": True})
    assert "each may spend" not in notes(replicaCount=2, budgets={"globalDay": {"usd": 0}})
    assert "several pods" not in notes(replicaCount=2, redis={"existingSecret": "redis"})


def test_metrics_that_nobody_may_scrape(notes: Notes) -> None:
    on = {"serviceMonitor": {"enabled": True}}
    assert "the NetworkPolicy lets nobody scrape: set networkPolicy.metricsNamespace" in notes(metrics=on)
    assert "nobody scrape" not in notes(metrics=on, networkPolicy={"metricsNamespace": "monitoring"})
    assert "nobody scrape" not in notes(metrics=on, networkPolicy={"metricsFrom": [{"podSelector": {}}]})
    assert "nobody scrape" not in notes(metrics=on, networkPolicy={"enabled": False})
    assert "nobody scrape" not in notes()


def test_helm_test_is_named_where_there_is_one(notes: Notes) -> None:
    assert "helm test agent-api --namespace agents" in notes()
    assert "helm test" not in notes(tests={"enabled": False})


def test_the_lines_to_paste_have_credentials_where_they_are_wanted(notes: Notes) -> None:
    keys = {"mode": "api-key", "apiKeys": {"existingSecret": "keys"}}
    curls = [line for line in notes(auth=keys).splitlines() if line.startswith("  curl")]
    assert len(curls) == 2
    assert all('-H "Authorization: Bearer $KEY"' in line for line in curls)

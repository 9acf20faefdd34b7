"""Helm 4 renders what Helm 3 does, and lints it without a complaint."""

import subprocess
from pathlib import Path

import pytest

from tests.chart.conftest import CHART, ROOT, Template, parsed
from tests.chart.values import CASES


@pytest.fixture(scope="session")
def helm4() -> str:
    """The path of a Helm 4, which a first run may have to make."""
    found = subprocess.run([ROOT / "scripts" / "helm", "4"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


@pytest.mark.parametrize("case", CASES)
def test_the_manifests_are_those_of_helm_3(helm4: str, template: Template, tmp_path: Path, case: str) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(CASES[case])
    command = [helm4, "template", "agent-api", str(CHART), "--namespace", "agents", "--kube-version", "1.34.0"]
    done = subprocess.run([*command, "--values", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert by_name(done.stdout) == by_name(template(CASES[case]))


def by_name(text: str) -> dict[tuple[str, str], object]:
    return {(one["kind"], one["metadata"]["name"]): one for one in parsed(text).manifests}


def test_lint_has_no_complaint(helm4: str) -> None:
    done = subprocess.run([helm4, "lint", "--strict", str(CHART)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

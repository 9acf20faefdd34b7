"""The scripts around the cluster say what is missing before they do anything."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.chart.conftest import ROOT


def run_with(tools: set[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """scripts/kind-up on a machine that has the named programs, which do nothing, and bash."""
    for name in ("bash", "dirname", "env"):
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    for name in tools:
        (folder / name).write_text("#!/usr/bin/env bash\nexit 1\n")
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": str(folder)}
    command = [str(ROOT / "scripts" / "kind-up")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_kind_up_names_all_the_programs_that_are_missing(tmp_path: Path) -> None:
    done = run_with({"docker", "kubectl"}, tmp_path)
    assert done.returncode == 1
    assert "not found on PATH: kind helm" in done.stderr


def test_kind_up_says_that_docker_does_not_run(tmp_path: Path) -> None:
    done = run_with({"docker", "kubectl", "kind", "helm"}, tmp_path)
    assert done.returncode == 1
    assert "the Docker engine does not answer" in done.stderr

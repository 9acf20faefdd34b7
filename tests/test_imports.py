"""Imports point one way: the contracts of pyproject.toml hold."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def test_the_contracts_hold() -> None:
    checked = subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for contract in (
        "Imports point one way",
        "The HTTP layer never reaches a model but through the runner",
        "Only the HTTP layer and the wiring know HTTP servers",
    ):
        assert f"{contract} KEPT" in checked.stdout, checked.stdout

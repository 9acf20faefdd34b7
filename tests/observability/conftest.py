"""Prometheus' own tools, where they are at hand; `make helm-lint` brings them along."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULES = ROOT / "k8s" / "prometheus-rules.yml"


@pytest.fixture(scope="session")
def promtool() -> str:
    """The path of promtool; skips where it would have to be fetched, unless REQUIRE_CHART_TOOLS is 1."""
    required = os.environ.get("REQUIRE_CHART_TOOLS") == "1"
    command = [str(ROOT / "scripts" / "promtool"), *([] if required else ["--here"])]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode and not required:
        pytest.skip(found.stderr.strip())
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()

"""The table in the chart's README is made from values.yaml, whose comments begin with the value's name."""

import subprocess
import sys

from tests.chart.conftest import ROOT


def test_the_table_of_values_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "chart_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr

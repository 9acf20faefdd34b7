"""Traces of mixed runs are whole: one root, nothing lost, nothing left open, each attempt of a model call there."""

from pathlib import Path

import pytest

from tests.telemetry.whole import whole


@pytest.mark.parametrize(("runs", "late"), [(150, False), (40, True)], ids=["sampled", "late"])
async def test_the_traces_of_mixed_runs_are_whole(tmp_path: Path, runs: int, late: bool) -> None:
    sheet = await whole(tmp_path, runs=runs, late=late)
    assert not sheet.missed, sheet.table()

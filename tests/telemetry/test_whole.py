"""Traces of mixed runs are whole: one root, nothing lost, nothing left open, each attempt of a model call there."""

from pathlib import Path

from tests.telemetry.whole import whole


async def test_the_traces_of_mixed_runs_are_whole(tmp_path: Path) -> None:
    sheet = await whole(tmp_path, runs=150)
    assert not sheet.missed, sheet.table()

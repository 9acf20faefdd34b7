"""A collector that is away costs spans, each of which is counted, and nothing else."""

from pathlib import Path

from tests.telemetry.away import away

NEVER_SLOW = ("p99 up", "memory up")  # goals of the long run, on a machine of its own


async def test_each_span_is_exported_or_counted_as_dropped_and_the_process_leaves(tmp_path: Path) -> None:
    sheet = await away(tmp_path, up_seconds=1, away_seconds=2, per_second=40, otel_bsp_max_queue_size=128)
    missed = [goal for goal in sheet.missed if not goal.startswith(NEVER_SLOW)]
    assert not missed, sheet.table()

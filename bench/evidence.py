"""Whether what agent-api had switched on did its work while it was measured."""

import json
import urllib.request
from pathlib import Path

from bench import valkey
from bench.outcome import Outcome
from bench.targets import AGENT_API, UNWATCHED, Target

_COUNTER = "agent_requests_total"


def while_running(outcome: Outcome, target: Target, redis_port: int) -> None:
    """Sessions in the store, figures on the metrics port, JSON lines in the log."""
    if target.name == UNWATCHED:  # has none
        return
    keys = valkey.keys(redis_port)
    outcome.evidence["keys in the store after the last cell"] = str(keys)
    with urllib.request.urlopen(f"http://127.0.0.1:{target.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    counted = sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(_COUNTER + "{"))
    outcome.evidence[f"`{_COUNTER}`"] = f"{counted:.0f}"
    logged = _json_lines(target.log) if target.log else 0
    outcome.evidence["JSON log lines, written to a file"] = str(logged)
    for what, count in {"sessions in the store": keys, "requests counted": counted, "logs": logged}.items():
        if not count:
            outcome.problems.append(f"{AGENT_API}: no {what}")


def spans(outcome: Outcome, printed: bytes) -> None:
    """The spans that the collector was sent, once agent-api has ended and flushed them."""
    seen: dict[str, int] = json.loads(printed or b'{"spans": {}}')["spans"]
    listed = ", ".join(f"{name} {seen[name]}" for name in sorted(seen))
    outcome.evidence["spans that arrived by OTLP"] = listed
    if not seen:
        outcome.problems.append(f"{AGENT_API}: no spans arrived")


def _json_lines(log: Path) -> int:
    count = 0
    with log.open("rb") as lines:
        for line in lines:
            if line.startswith(b"{"):
                count += 1
    return count

"""Sentences about a run that every display for people uses, safe to print."""

import json
from collections.abc import Mapping
from typing import Any

from app.progress.calls import AskedApproval, ToolCall
from app.progress.following import Gap, Interrupted
from app.progress.printable import on_one_line
from app.progress.run_progress import RunProgress


def arguments(tool: ToolCall | AskedApproval, most: int = 100) -> str:
    return on_one_line(json.dumps(tool.arguments, ensure_ascii=False), most)


def outcome(tool: ToolCall) -> str:
    """How a tool call ended."""
    error = f": {on_one_line(tool.error, 100)}" if tool.error else ""
    return f"{on_one_line(tool.status)}, {seconds(tool.latency_ms / 1000)}{error}"


def seconds(value: float) -> str:
    if value < 1:
        return f"{value * 1000:.3g} ms"
    minutes, rest = divmod(value, 60)
    return f"{minutes:.0f} min {rest:.0f} s" if minutes else f"{value:.1f} s"


def usage(progress: RunProgress) -> str:
    return f"{progress.tokens:,} tokens, ${progress.cost_usd:.4f}"


def state(progress: RunProgress) -> str:
    if progress.status == "queued" and progress.start_at:
        return f"queued, not before {on_one_line(progress.start_at)}"
    if progress.status == "waiting" and progress.approvals:
        return f"waiting for {_counted(len(progress.approvals), 'approval')}"
    return progress.status + (f", resumed {progress.resumptions} x" if progress.resumptions else "")


def asked(approval: AskedApproval) -> str:
    """What is to be decided."""
    call = f"{on_one_line(approval.tool)} {arguments(approval)}"
    return f"approval {on_one_line(approval.id)}: {call}: {on_one_line(approval.detail)}"


def trouble(news: Interrupted | Gap) -> str:
    """What happened to the connection."""
    if isinstance(news, Gap):
        return f"the events before {news.oldest} are not kept any more"
    return (
        f"connection lost ({on_one_line(news.why, 120)}); continues behind event {news.after} "
        f"in {seconds(news.wait_seconds)}"
    )


def ending(progress: RunProgress) -> str:
    """The last line of a run that is over."""
    account = f"{_counted(progress.iteration, 'iteration')}, {_counted(len(progress.tools), 'tool call')}, "
    account += usage(progress)
    latency = progress.answer.get("latency_ms")
    if isinstance(latency, int | float):
        account += f", {seconds(latency / 1000)}"
    return f"{progress.status}: {why(progress.problem)}{account}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def why(problem: Mapping[str, Any]) -> str:
    return f"{on_one_line(str(problem['detail']), 500)} " if problem.get("detail") else ""

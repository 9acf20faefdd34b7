"""The outcome as markdown: figures, memory, goals."""

from collections.abc import Iterator, Sequence

from bench import goals
from bench.cells import Cell
from bench.outcome import Outcome, core_share, cpu_per_request, cpu_per_token, per_cpu, rate
from bench.targets import AGENT_API, AIOHTTP, RAW

_BUSY = 0.85


def markdown(outcome: Outcome) -> str:
    """The whole report."""
    parts = ["\n".join(f"- {name}: {value}" for name, value in outcome.setup.items()), *_figures(outcome)]
    if outcome.memory:
        parts.append(_memory(outcome))
    if judged := list(goals.judge(outcome)):
        head = ("goal", "at", "measured", "met")
        rows = [(each.what, each.goal, each.measured, "yes" if each.met else "**no**") for each in judged]
        met = sum(goal.met for goal in judged)
        parts.append(f"### Goals: {met} of {len(judged)} met\n\n{_table(head, rows)}")
    if AGENT_API in outcome.results:
        parts.append("\n".join(f"- {name}: {value}" for name, value in outcome.evidence.items()))
    if _disturbed(outcome):
        parts.append(
            "Some servers had less than 85 % of their core while 16 or more connections waited: something "
            "else ran on this machine. Trust the CPU columns more than requests/s."
        )
    if outcome.problems:
        parts.append("Problems\n\n" + "\n".join(f"- {problem}" for problem in outcome.problems))
    return "\n\n".join(part for part in parts if part) + "\n"


def _disturbed(outcome: Outcome) -> bool:
    return any(
        (outcome.median_of(target, cell, core_share) or 1) < _BUSY
        for target in outcome.results
        if target != RAW
        for cell in outcome.results[target]
        if cell.kind != "paced" and cell.connections >= 16
    )


def _figures(outcome: Outcome) -> Iterator[str]:
    titles = {
        "plain": "Plain answers",
        "stream": "Streams of 64 tokens at full speed",
        "paced": "Streams of 64 tokens, 10 ms apart",
    }
    for kind, title in titles.items():
        streamed = kind != "plain"
        head = ["connections", "server", "requests/s", "of aiohttp floor", "by CPU", "CPU µs/request"]
        head += ["CPU µs/token", "first byte p50 ms", "first token p50 ms"] if streamed else []
        head += ["p50 ms", "p95 ms", "p99 ms", "p99/p50", "core %", "load core %", "errors"]
        rows = [
            _row(outcome, target, cell, streamed)
            for cell in outcome.cells
            if cell.kind == kind
            for target in outcome.results
            if cell in outcome.results[target]
        ]
        if rows:
            yield f"### {title}\n\n" + _table(head, rows)


def _row(outcome: Outcome, target: str, cell: Cell, streamed: bool) -> list[str]:
    def median(name: str) -> float:
        return outcome.median(target, cell, name) or 0.0

    rates = [rate(result) for result in outcome.results[target][cell]]
    ratios = (outcome.ratio(target, AIOHTTP, cell), outcome.ratio(target, AIOHTTP, cell, per_cpu))
    request = outcome.median_of(target, cell, cpu_per_request)
    token = outcome.median_of(target, cell, cpu_per_token)
    used = outcome.median_of(target, cell, core_share)
    p50, p99 = median("p50_ms"), median("p99_ms")
    spread = f" ({min(rates):.0f} to {max(rates):.0f})" if len(rates) > 1 else ""
    row = [str(cell.connections), target, f"{outcome.median_of(target, cell, rate):.0f}{spread}"]
    row += [*("" if ratio is None else f"{ratio:.2f}" for ratio in ratios), f"{request:.0f}"]
    if streamed:
        row += [f"{token:.1f}", *(f"{median(f'first_{what}_p50_ms'):.2f}" for what in ("byte", "token"))]
    row += [f"{value:.2f}" for value in (p50, median("p95_ms"), p99)]
    errors = sum(result.errors for result in outcome.results[target][cell])
    row += [f"{p99 / p50:.1f}" if p50 else "", f"{100 * (used or 0):.0f}"]
    return [*row, f"{100 * median('load_cpu_share'):.0f}", str(errors)]


def _memory(outcome: Outcome) -> str:
    head = ("server", "ready MB", "idle MB", "streams", "with them open MB", "above idle MB", "KiB a stream")
    rows = [
        (
            target,
            f"{memory.ready_bytes / 1e6:.1f}",
            f"{memory.idle_bytes / 1e6:.1f}",
            str(memory.streams),
            f"{memory.held_bytes / 1e6:.1f}",
            f"{(memory.held_bytes - memory.idle_bytes) / 1e6:.1f}",
            f"{(memory.held_bytes - memory.idle_bytes) / 1024 / max(memory.streams, 1):.1f}",
        )
        for target, memory in outcome.memory.items()
    ]
    return "### Resident memory\n\n" + _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

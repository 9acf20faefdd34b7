"""All figures of a run of the benchmark, and the medians and ratios made from them."""

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.cells import Cell, Memory
from bench.measurement import Result
from bench.wire import TOKENS


@dataclass(slots=True)
class Outcome:
    """`results[target][cell]` has one result a round; `evidence` says what else was seen to work."""

    setup: dict[str, str] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    results: dict[str, dict[Cell, list[Result]]] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, target: str, cell: Cell, result: Result) -> None:
        self.results.setdefault(target, {}).setdefault(cell, []).append(result)
        if result.errors or not result.requests:
            samples = "; ".join(result.error_samples) or "no answer at all"
            self.problems.append(f"{target}, {cell}: {result.errors} errors: {samples}")

    def median_of(self, target: str, cell: Cell, value: Callable[[Result], float]) -> float | None:
        """The median of the rounds; None without any."""
        found = self.results.get(target, {}).get(cell)
        return statistics.median(map(value, found)) if found else None

    def median(self, target: str, cell: Cell, name: str) -> float | None:
        return self.median_of(target, cell, lambda result: float(getattr(result, name)))

    def ratio(self, target: str, to: str, cell: Cell, value: Callable[[Result], float] | None = None) -> float | None:
        """The median of the rounds' ratios, of requests a second unless told; None without any."""
        value = value or rate
        ours, theirs = (self.results.get(name, {}).get(cell) or [] for name in (target, to))
        pairs = [value(a) / value(b) for a, b in zip(ours, theirs, strict=False) if value(b)]
        return statistics.median(pairs) if pairs else None

    def as_json(self) -> dict[str, Any]:
        """Everything, each round's figures included."""
        return {
            "setup": self.setup,
            "results": [
                {"target": target, "kind": cell.kind, "connections": cell.connections, "round": number}
                | asdict(result)
                | {"requests_per_second": rate(result)}
                for target, cells in self.results.items()
                for cell, results in cells.items()
                for number, result in enumerate(results, 1)
            ],
            "memory": {target: asdict(memory) for target, memory in self.memory.items()},
            "evidence": self.evidence,
            "problems": self.problems,
        }


def cpu_per_request(result: Result) -> float:
    """The server's CPU time in microseconds."""
    return result.server_cpu_seconds / result.requests * 1e6 if result.requests else 0.0


def per_cpu(result: Result) -> float:
    """Requests a second of the server's CPU time: what a core of its own would give."""
    return result.requests / result.server_cpu_seconds if result.server_cpu_seconds else 0.0


def cpu_per_token(result: Result) -> float:
    """The server's CPU time in microseconds, all of a streamed request shared by its tokens."""
    return cpu_per_request(result) / len(TOKENS)


def core_share(result: Result) -> float:
    """How much of its core the server had."""
    return result.server_cpu_seconds / result.seconds if result.seconds else 0.0


def rate(result: Result) -> float:
    """Requests a second."""
    return result.requests / result.seconds if result.seconds else 0.0

"""A whole run: starts the neighbours and the servers, measures them in turns, ends them all."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench import cells, evidence, targets, valkey
from bench.outcome import Outcome, rate
from bench.process import Child, free_port, wait_until_ready


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, how often and how long; seconds are those of one cell."""

    names: tuple[str, ...]
    cells: tuple[cells.Cell, ...]
    rounds: int
    seconds: float
    warmup: float
    held: int
    provider: str
    profile: Path | None


def run(plan: Plan, outcome: Outcome, directory: Path) -> None:
    """Fills `outcome`; nothing that was started is left when it returns or raises."""
    with _neighbours(plan, outcome, directory) as neighbours:
        _in_turns(plan, outcome, neighbours)
        for name in plan.names if plan.held else ():
            print(f"memory of {name} with {plan.held} streams open", file=sys.stderr)
            memory = cells.memory(name, replace(neighbours, profile=None), plan.held)
            outcome.memory[name] = memory
            if memory.streams < plan.held:
                outcome.problems.append(f"{name} opened {memory.streams} of {plan.held} streams")


@contextmanager
def _neighbours(plan: Plan, outcome: Outcome, directory: Path) -> Iterator[targets.Neighbours]:
    with ExitStack() as stack:
        store, redis_port, outcome.setup["store"] = valkey.start()
        stack.enter_context(store)
        otlp_port, port = free_port(), free_port()
        argv = [sys.executable, "-m", "bench.otlp", str(otlp_port)]
        collector = stack.enter_context(Child("otlp", argv, stdout=subprocess.PIPE))
        upstream = stack.enter_context(Child("upstream", [sys.executable, "-m", "bench.upstream", str(port)]))
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(upstream, url, 30)
        yield targets.Neighbours(url, redis_port, otlp_port, plan.provider, directory, plan.profile)
        collector.stop()
        if targets.AGENT_API in plan.names and collector.popen.stdout:
            evidence.spans(outcome, collector.popen.stdout.read())


def _in_turns(plan: Plan, outcome: Outcome, neighbours: targets.Neighbours) -> None:
    """Each cell at one server after the other, while the others are stopped where they are."""
    with ExitStack() as stack:
        running = []
        for name in plan.names:
            print(f"starting {name}", file=sys.stderr)
            running.append(target := targets.start(name, neighbours, stack))
            for kind in dict.fromkeys(cell.kind for cell in plan.cells):
                cells.run(target, cells.Cell(kind, 2), seconds=0.3, warmup=0.3)
            target.child.pause()
        order = sorted(plan.cells, key=lambda cell: cell.connections)  # a client's pool remembers the largest so far
        for cell in order:
            for number in range(1, plan.rounds + 1):
                for target in running:
                    valkey.clear(neighbours.redis_port)
                    target.child.resume()
                    result = cells.run(target, cell, plan.seconds, plan.warmup)
                    if number == plan.rounds and cell == order[-1] and target.metrics_port:
                        evidence.while_running(outcome, target, neighbours.redis_port)
                    target.child.pause()
                    outcome.add(target.name, cell, result)
                    print(f"round {number}, {cell}, {target.name}: {rate(result):.0f}/s", file=sys.stderr)

"""What is measured at each server: one cell is a kind of request at a number of connections."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

from bench import targets
from bench.measurement import Result, Spec
from bench.process import Child, resident_bytes
from bench.wire import TOKENS

Kind = Literal["plain", "stream", "paced"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_STREAM_SECONDS = 0.010 * len(TOKENS)


@dataclass(frozen=True, slots=True)
class Cell:
    """Plain answers, streams at full speed, or streams whose tokens come 10 ms apart."""

    kind: Kind
    connections: int

    @property
    def model(self) -> str:
        return "paced-10ms" if self.kind == "paced" else "fast"

    def __str__(self) -> str:
        return f"{self.kind} {self.connections}"


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident bytes: when ready, after some requests, and with `streams` open."""

    streams: int
    ready_bytes: int
    idle_bytes: int
    held_bytes: int


def plan(connections: list[int], kinds: list[Kind], paced_streams: int) -> tuple[Cell, ...]:
    """The cells in the order they are run."""
    cells = [Cell(kind, number) for kind in kinds if kind != "paced" for number in connections]
    return (*cells, Cell("paced", paced_streams)) if "paced" in kinds else tuple(cells)


def run(target: targets.Target, cell: Cell, seconds: float, warmup: float) -> Result:
    """Loads `target` from a process of its own and returns what that saw."""
    spec = _spec(target, cell.model, cell.kind != "plain", cell.connections)
    stagger = _STREAM_SECONDS if cell.kind == "paced" else 0.0
    spec = replace(spec, seconds=seconds, warmup=warmup, stagger=stagger)
    argv = [sys.executable, "-m", "bench.load", json.dumps(asdict(spec))]
    with Child("load", argv, stdout=subprocess.PIPE) as child:
        out, _ = child.popen.communicate(timeout=120 + warmup + 4 * seconds)
    if child.popen.returncode:
        raise RuntimeError(f"the load generator failed at {target.name}, {cell}")
    return Result(**json.loads(out))


def _spec(target: targets.Target, model: str, stream: bool, connections: int) -> Spec:
    return Spec(
        port=target.port,
        path=target.stream_path if stream else target.plain_path,
        body=target.body(model, stream),
        headers=target.headers,
        stream=stream,
        connections=connections,
        seconds=0,
        warmup=0,
        server_pid=target.child.pid,
    )


def memory(name: str, neighbours: targets.Neighbours, streams: int) -> Memory:
    """Measures a fresh process, so that nothing freed before hides what the streams take.

    The result says how many streams could be opened, at most as many as asked for.
    """
    with ExitStack() as stack:
        target = targets.start(name, neighbours, stack)
        ready = resident_bytes(target.child.pid)
        run(target, Cell("stream", 16), seconds=1.0, warmup=0.2)
        time.sleep(1)
        idle = resident_bytes(target.child.pid)
        spec = _spec(target, "hold", True, streams)
        argv = [sys.executable, "-m", "bench.hold", json.dumps(asdict(spec))]
        with Child("hold", argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.popen.stdout
            opened = int(child.popen.stdout.readline() or 0)
            time.sleep(2)
            held = resident_bytes(target.child.pid)
        return Memory(opened, ready, idle, held)

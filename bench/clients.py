"""Which HTTP client library should carry the bytes: each as a caller of the fake upstream, one process, one core.

`python -m bench.clients` measures every client in a process of its own, in turns, and prints a table. A stream is
read the way a provider reads it: every event decoded and its text taken. Needs `httpx` and `httpx-aiohttp` beside
what the service needs.
"""

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import uvloop

from bench.callers import CALLERS
from bench.process import SERVER_CPU, Child, free_port, wait_until_ready
from bench.wire import TEXT, TOKENS

Figures = dict[str, dict[str, float]]

_CELLS = {f"{kind} {calls}": (kind, calls) for kind in ("plain", "stream") for calls in (16, 64, 256)}
_CELLS["paced 64"] = ("paced", 64)
_PACED_SECONDS = 0.010 * len(TOKENS)


async def measure(caller: str, seconds: float, url: str) -> Figures:
    """For each cell calls a second and CPU microseconds a call, with that many calls open at any time."""
    figures = {}
    for cell, (kind, calls) in _CELLS.items():
        async with AsyncExitStack() as stack:
            plain, stream = await CALLERS[caller](stack, url, "paced-10ms" if kind == "paced" else "fast")
            call = plain if kind == "plain" else stream
            figures[cell] = await _loop(call, calls, seconds, _PACED_SECONDS if kind == "paced" else 0.2)
    return figures


async def _loop(call: Callable[[], Awaitable[str]], calls: int, seconds: float, stagger: float) -> dict[str, float]:
    done = wrong = 0
    over = False

    async def caller(number: int) -> None:
        nonlocal done, wrong
        await asyncio.sleep(number / calls * stagger)
        while not over:
            wrong += await call() != TEXT
            done += 1

    async with asyncio.TaskGroup() as tasks:
        for number in range(calls):
            tasks.create_task(caller(number))
        await asyncio.sleep(0.8)
        gc.collect()
        first, start, cpu = done, time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        count, elapsed, used = done - first, time.perf_counter() - start, time.process_time() - cpu
        over = True
    if wrong:
        raise RuntimeError(f"{wrong} wrong answers")
    return {"calls_per_second": count / elapsed, "cpu_us": used / max(count, 1) * 1e6}


def _in_a_process(caller: str, seconds: float, url: str) -> Figures:
    argv = [sys.executable, "-m", "bench.clients", "--one", caller, str(seconds), url]
    with Child(caller, argv, cpus=frozenset({SERVER_CPU}), stdout=subprocess.PIPE) as child:
        out, _ = child.popen.communicate(timeout=300)
    if child.popen.returncode:
        raise RuntimeError(f"{caller} failed")
    figures: Figures = json.loads(out)
    return figures


def main() -> None:
    """Prints CPU time a call and a token, and calls a second, as a markdown table of medians."""
    parser = argparse.ArgumentParser(prog="python -m bench.clients", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", default=",".join(CALLERS))
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        caller, seconds, url = chosen.one
        print(json.dumps(uvloop.run(measure(caller, float(seconds), url))))
        return
    port = free_port()
    rounds: dict[str, list[Figures]] = {caller: [] for caller in chosen.only.split(",")}
    with Child("upstream", [sys.executable, "-m", "bench.upstream", str(port)]) as upstream:
        wait_until_ready(upstream, f"http://127.0.0.1:{port}", 30)
        for _ in range(chosen.rounds):
            for caller, figures in rounds.items():
                figures.append(_in_a_process(caller, chosen.seconds, f"http://127.0.0.1:{port}"))
                costs = ", ".join(f"{cell} {one['cpu_us']:.0f}" for cell, one in figures[-1].items())
                print(f"{caller}, µs a call: {costs}", file=sys.stderr)
    print(_table(rounds))


def _table(rounds: dict[str, list[Figures]]) -> str:
    heads = [f"{cell}: µs a {'call' if kind == 'plain' else 'token'}" for cell, (kind, _) in _CELLS.items()]
    lines = ["| client | " + " | ".join(heads) + " |", "| --- " * (len(heads) + 1) + "|"]
    for caller, figures in rounds.items():
        row = [caller]
        for cell, (kind, _) in _CELLS.items():
            cost = statistics.median(one[cell]["cpu_us"] for one in figures)
            rate = statistics.median(one[cell]["calls_per_second"] for one in figures)
            shown = f"{cost:.0f}" if kind == "plain" else f"{cost / len(TOKENS):.1f}"
            row.append(f"{shown} ({rate:.0f}/s)")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

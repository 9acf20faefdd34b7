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

_CELLS = [("plain", 16), ("plain", 64), ("plain", 256), ("stream", 16), ("stream", 64), ("stream", 256)]
_CELLS += [("paced", 64)]
_PACED_SECONDS = 0.010 * len(TOKENS)


async def measure(caller: str, kind: str, calls: int, seconds: float, url: str) -> dict[str, float]:
    """Calls a second and CPU microseconds a call, `calls` of them open at any time."""
    model = "paced-10ms" if kind == "paced" else "fast"
    async with AsyncExitStack() as stack:
        plain, stream = await CALLERS[caller](stack, url, model)
        return await _loop(plain if kind == "plain" else stream, calls, seconds, kind == "paced")


async def _loop(call: Callable[[], Awaitable[str]], calls: int, seconds: float, paced: bool) -> dict[str, float]:
    done = wrong = 0
    over = False

    async def caller(number: int) -> None:
        nonlocal done, wrong
        await asyncio.sleep(number / calls * (_PACED_SECONDS if paced else 0.2))
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


def _in_a_process(caller: str, kind: str, calls: int, seconds: float, url: str) -> dict[str, float]:
    argv = [sys.executable, "-m", "bench.clients", "--one", caller, kind, str(calls), str(seconds), url]
    with Child(caller, argv, cpus=frozenset({SERVER_CPU}), stdout=subprocess.PIPE) as child:
        out, _ = child.popen.communicate(timeout=120)
    if child.popen.returncode:
        raise RuntimeError(f"{caller}, {kind} {calls} failed")
    figures: dict[str, float] = json.loads(out)
    return figures


def main() -> None:
    """Prints CPU time a call and a token, and calls a second, as a markdown table of medians."""
    parser = argparse.ArgumentParser(prog="python -m bench.clients", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", default=",".join(CALLERS))
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.one:
        caller, kind, calls, seconds, url = chosen.one
        print(json.dumps(uvloop.run(measure(caller, kind, int(calls), float(seconds), url))))
        return
    port = free_port()
    figures: dict[tuple[str, str, int], list[dict[str, float]]] = {}
    with Child("upstream", [sys.executable, "-m", "bench.upstream", str(port)]) as upstream:
        wait_until_ready(upstream, f"http://127.0.0.1:{port}", 30)
        for _ in range(chosen.rounds):
            for kind, calls in _CELLS:
                for caller in chosen.only.split(","):
                    one = _in_a_process(caller, kind, calls, chosen.seconds, f"http://127.0.0.1:{port}")
                    figures.setdefault((caller, kind, calls), []).append(one)
                    print(f"{caller}, {kind} {calls}: {one['cpu_us']:.0f} µs a call", file=sys.stderr)
    print(_table(chosen.only.split(","), figures))


def _table(callers: list[str], figures: dict[tuple[str, str, int], list[dict[str, float]]]) -> str:
    heads = [f"{kind} {calls}: µs a {'call' if kind == 'plain' else 'token'} (calls/s)" for kind, calls in _CELLS]
    lines = ["| client | " + " | ".join(heads) + " |", "| --- " * (len(heads) + 1) + "|"]
    for caller in callers:
        row = [caller]
        for kind, calls in _CELLS:
            rounds = figures[caller, kind, calls]
            cost = statistics.median(one["cpu_us"] for one in rounds)
            rate = statistics.median(one["calls_per_second"] for one in rounds)
            row.append(f"{cost:.0f} ({rate:.0f})" if kind == "plain" else f"{cost / len(TOKENS):.1f} ({rate:.0f})")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

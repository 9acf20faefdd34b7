"""The load generator: N connections in a closed loop.

Run as `python -m bench.load SPEC`, SPEC being a `Spec` as JSON; prints a `Result` as JSON.
"""

import asyncio
import gc
import json
import sys
import time
from dataclasses import asdict

import uvloop

from bench.connection import Connection, Run
from bench.measurement import Result, Spec
from bench.process import cpu_seconds, resident_bytes

_SAMPLES = 5
_ACCEPT_SECONDS = 0.3


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of the values do not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _enough(spec: Spec, elapsed: float, answers: int) -> bool:
    if elapsed < spec.seconds:
        return False
    return answers >= spec.connections or (answers > 0 and elapsed >= 4 * spec.seconds) or elapsed >= spec.patience


async def measure(spec: Spec) -> Result:
    """Connects, warms up, measures one window, closes."""
    loop = asyncio.get_running_loop()
    run = Run(spec)
    connections: list[Connection] = []
    for _ in range(spec.connections):
        _, connection = await loop.create_connection(lambda: Connection(run), "127.0.0.1", spec.port)
        connections.append(connection)
    # A busy libuv server accepts one connection a turn of its loop: let it accept them all before it is busy.
    await asyncio.sleep(_ACCEPT_SECONDS)
    for connection in connections:
        connection.send()
        if spec.stagger:
            await asyncio.sleep(spec.stagger / spec.connections)
    await asyncio.sleep(spec.warmup)
    early_errors = run.errors.copy()
    run.clear()
    start, cpu, own = time.perf_counter(), cpu_seconds(spec.server_pid), time.process_time()
    while not _enough(spec, time.perf_counter() - start, len(run.latencies) + run.errors.total()):  # noqa: ASYNC110
        await asyncio.sleep(max(spec.seconds - (time.perf_counter() - start), 0.05))
    seconds, used = time.perf_counter() - start, cpu_seconds(spec.server_pid) - cpu
    own = time.process_time() - own
    rss = resident_bytes(spec.server_pid)
    latencies, errors = list(run.latencies), run.errors + early_errors
    first_bytes, first_tokens = list(run.first_bytes), list(run.first_tokens)
    run.open = False
    for connection in connections:
        connection.close()
    await asyncio.gather(*(connection.closed for connection in connections))
    return Result(
        seconds=seconds,
        requests=len(latencies),
        errors=errors.total(),
        error_samples=[text for text, _ in errors.most_common(_SAMPLES)],
        server_cpu_seconds=used,
        server_rss_bytes=rss,
        load_cpu_share=own / seconds,
        p50_ms=percentile(latencies, 0.50) * 1000,
        p95_ms=percentile(latencies, 0.95) * 1000,
        p99_ms=percentile(latencies, 0.99) * 1000,
        first_byte_p50_ms=percentile(first_bytes, 0.50) * 1000,
        first_token_p50_ms=percentile(first_tokens, 0.50) * 1000,
    )


if __name__ == "__main__":
    gc.disable()  # a few seconds of work without cycles: no pauses of our own in the latencies
    print(json.dumps(asdict(uvloop.run(measure(Spec(**json.loads(sys.argv[1])))))))

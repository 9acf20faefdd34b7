"""`python -m bench`: agent-api, the floors and their peer in turns; prints medians, ratios and goals.

Linux only: it pins processes to cores and reads /proc. The server under test is alone on the first core;
the load, the fake upstream, the store and the span collector share the others.
"""

import argparse
import json
import platform
import resource
import signal
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from bench import cells, litellm, report, rounds, targets, valkey
from bench.outcome import Outcome
from bench.process import OTHER_CPUS, SERVER_CPU

_ALSO = (
    targets.RESILIENT,
    targets.UNRESILIENT,
    targets.CACHED,
    targets.UNWATCHED,
    targets.RESUMABLE,
    targets.WORKERLESS,
)  # of the smoke run, which has one cell for them


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="everything once in under 90 s, judged by errors")
    parser.add_argument("--rounds", type=int, default=3, help="rounds in turns; their median counts (3)")
    parser.add_argument("--seconds", type=float, default=4, help="measured seconds a cell (4)")
    parser.add_argument("--warmup", type=float, default=1, help="seconds before that (1)")
    parser.add_argument("--connections", default="1,16,64,256", help="numbers of connections (1,16,64,256)")
    parser.add_argument("--kinds", default="plain,stream,paced", help="of requests (plain,stream,paced)")
    parser.add_argument("--paced", type=int, default=64, help="streams at once in the paced case (64)")
    parser.add_argument("--held", type=int, default=1000, help="streams held open for the memory (1000)")
    parser.add_argument("--only", default="", help=f"servers, of {', '.join(targets.NAMES)}")
    parser.add_argument("--litellm", action="store_true", help="also LiteLLM's proxy, installed on request")
    parser.add_argument("--provider", choices=targets.PROVIDERS, default="openai", help="of the models")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--profile", type=Path, help="sample agent-api's stacks to this file and FILE.txt")
    return parser.parse_args()


def plan(chosen: argparse.Namespace) -> rounds.Plan:
    """What the options ask for; raises SystemExit when they make no sense."""
    if chosen.smoke:
        chosen.rounds, chosen.seconds, chosen.warmup = 1, 0.6, 0.2
        chosen.connections, chosen.paced, chosen.held = "1,16", 16, 100
    default = [targets.AGENT_API, targets.AIOHTTP, targets.HTTPX]
    names = chosen.only.split(",") if chosen.only else default
    if chosen.litellm and targets.LITELLM not in names:
        names.append(targets.LITELLM)
    kinds = chosen.kinds.split(",")
    if unknown := (set(names) - set(targets.NAMES)) | (set(kinds) - set(cells.KINDS)):
        raise SystemExit(f"bench: unknown: {', '.join(sorted(unknown))}")
    connections = [int(number) for number in chosen.connections.split(",")]
    return rounds.Plan(
        names=tuple(names),
        cells=cells.plan(connections, kinds, chosen.paced),
        rounds=chosen.rounds,
        seconds=chosen.seconds,
        warmup=chosen.warmup,
        held=chosen.held,
        provider=chosen.provider,
        profile=chosen.profile and chosen.profile.resolve(),
    )


def setup(work: rounds.Plan) -> dict[str, str]:
    """What the figures depend on; installs LiteLLM when it is among the servers."""
    cores = f"server on core {SERVER_CPU}, everything else on {', '.join(map(str, sorted(OTHER_CPUS)))}"
    facts = {
        "python": platform.python_version(),
        "cores": cores if SERVER_CPU not in OTHER_CPUS else "one core for everything: figures mean little",
        "cells": f"{work.rounds} rounds in turns, {work.seconds:g} s each after {work.warmup:g} s, medians",
        "agent-api": f"{work.provider} models, sessions, metrics, JSON logs to a file, spans sampled at 10 %",
    }
    return facts | ({"litellm": litellm.install()} if targets.LITELLM in work.names else {})


def main() -> int:
    """Exit code 0, 1 when something gave errors, 2 when it could not run at all."""
    chosen = options()
    work = plan(chosen)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    outcome = Outcome(setup=setup(work), cells=list(work.cells))
    try:
        with tempfile.TemporaryDirectory(prefix="agent-api-bench-") as directory:
            rounds.run(work, outcome, Path(directory))
            if chosen.smoke:
                rounds.run(
                    replace(work, names=_ALSO, cells=(cells.Cell("plain", 16),), held=0), outcome, Path(directory)
                )
    except (RuntimeError, valkey.NotFoundError) as error:
        outcome.problems.append(str(error))
    except KeyboardInterrupt:
        outcome.problems.append("interrupted")
    print(report.markdown(outcome))
    if chosen.json:
        chosen.json.write_text(json.dumps(outcome.as_json(), indent=1) + "\n")
    if not outcome.results:
        return 2
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    if sys.platform != "linux":
        raise SystemExit("bench: needs Linux (/proc and CPU affinity); run it in a container or a VM")
    sys.exit(main())

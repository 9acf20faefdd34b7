"""Runs agent-api under a sampling profiler: `python -m bench.sampler FILE`.

The stack of the main thread is taken every millisecond of CPU time, or as often as the kernel's clock allows (4 ms
where it ticks 250 times a second). When the process ends, FILE holds the stacks in the collapsed format that
flame-graph tools read, and FILE.txt the functions by their own share and by their share with what they call.
Start-up is in it too: let it run for some seconds.
"""

import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

_INTERVAL_SECONDS = 0.001
_LISTED = 70


class Sampler:
    """Counts of stacks, outermost frame first."""

    def __init__(self) -> None:
        self.stacks: Counter[tuple[str, ...]] = Counter()
        self._names: dict[object, str] = {}

    def start(self) -> None:
        signal.signal(signal.SIGPROF, self._sample)
        signal.siginterrupt(signal.SIGPROF, False)
        signal.setitimer(signal.ITIMER_PROF, _INTERVAL_SECONDS, _INTERVAL_SECONDS)

    def stop(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _sample(self, _: int, frame: FrameType | None) -> None:
        stack = []
        while frame:
            stack.append(self._name(frame))
            frame = frame.f_back
        self.stacks[tuple(reversed(stack))] += 1

    def _name(self, frame: FrameType) -> str:
        code = frame.f_code
        name = self._names.get(code)
        if name is None:
            file = "/".join(Path(code.co_filename).parts[-3:])
            name = self._names[code] = f"{file}:{code.co_qualname}:{code.co_firstlineno}"
        return name

    def write(self, path: Path) -> None:
        """Writes both files."""
        path.write_text("".join(f"{';'.join(stack)} {count}\n" for stack, count in self.stacks.items()))
        own: Counter[str] = Counter()
        total: Counter[str] = Counter()
        for stack, count in self.stacks.items():
            own[stack[-1]] += count
            for name in set(stack):
                total[name] += count
        samples = self.stacks.total() or 1
        lines = [f"{samples} samples of the main thread, by CPU time"]
        for title, counts in (("own", own), ("with callees", total)):
            lines += ["", f"## {title}"]
            lines += [f"{count / samples:7.2%} {name}" for name, count in counts.most_common(_LISTED)]
        path.with_name(path.name + ".txt").write_text("\n".join(lines) + "\n")


def main(path: Path) -> None:
    """Runs `python -m app` and writes the profile when it ends."""
    sampler = Sampler()
    sys.argv = ["app"]
    sampler.start()
    try:
        runpy.run_module("app", run_name="__main__", alter_sys=True)
    finally:
        sampler.stop()
        sampler.write(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

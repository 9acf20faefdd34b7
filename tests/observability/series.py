"""Series of a pod as `promtool test rules` takes them: 24 minutes, a sample a minute.

Each signal is put into a namespace of its own, so that one test holds them all.
"""

from dataclasses import dataclass, field

MINUTES = 24
HALF = MINUTES // 2

NAMESPACE = "NAMESPACE"
"""Stands for the namespace that a test gives the signal."""

Input = dict[str, str]


@dataclass(frozen=True, slots=True)
class Counter:
    """Rises by `rate` each minute, or by one until it is `total`."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    rate: float = 0.0
    total: int | None = None

    def steady(self, pod: str = "a") -> list[Input]:
        if self.total is None:
            return [self._input(pod, f"0+{self.rate:g}x{MINUTES}")]
        return [self._input(pod, f"0+1x{self.total} {self.total}x{MINUTES - self.total}")]

    def restarted(self) -> list[Input]:
        """The pod's process was replaced after half the time, so that the counter began again at zero."""
        return [self._input("a", f"0+{self.rate:g}x{HALF - 1} 0+{self.rate:g}x{HALF}")]

    def deployed(self) -> list[Input]:
        """Another pod took over after half the time; what it counts is a new series."""
        old, new = f"0+{self.rate:g}x{HALF - 1} stale", f"_x{HALF} 0+{self.rate:g}x{HALF}"
        return [self._input("a", old), self._input("b", new)]

    def _input(self, pod: str, values: str) -> Input:
        return {"series": selector(self.name, {"pod": pod, **self.labels}), "values": values}


@dataclass(frozen=True, slots=True)
class Gauge:
    """Has these values, and then the last of them."""

    name: str
    labels: dict[str, str] = field(default_factory=dict)
    values: tuple[float | None, ...] = (0.0,)
    of_pod: bool = True

    def steady(self, pod: str = "a") -> list[Input]:
        told = " ".join("_" if value is None else f"{value:g}" for value in self.values[:-1])
        last = f"{self.values[-1]:g}x{MINUTES - len(self.values)}"
        return [self._input(pod, f"{told} {last}".strip())]

    def restarted(self) -> list[Input]:
        return self.steady()

    def deployed(self) -> list[Input]:
        if not self.of_pod:
            return self.steady()
        last = self.values[-1]
        old, new = f"{last:g}x{HALF - 1} stale", f"_x{HALF} {last:g}x{HALF}"
        return [self._input("a", old), self._input("b", new)]

    def _input(self, pod: str, values: str) -> Input:
        labels = {"pod": pod, **self.labels} if self.of_pod else self.labels
        return {"series": selector(self.name, labels), "values": values}


Series = Counter | Gauge


def selector(name: str, labels: dict[str, str]) -> str:
    target = {"job": "agent-api", "namespace": NAMESPACE}
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in {**target, **labels}.items()) + "}"


def histogram(name: str, le: str, below: float, above: float, **labels: str) -> tuple[Counter, ...]:
    """A histogram's series: so many observations a minute below and above one of its buckets' bounds."""
    return (
        Counter(f"{name}_bucket", {**labels, "le": le}, below),
        Counter(f"{name}_bucket", {**labels, "le": "300"}, below + above),
        Counter(f"{name}_bucket", {**labels, "le": "+Inf"}, below + above),
        Counter(f"{name}_count", labels, below + above),
    )


def few(name: str, le: str, **labels: str) -> tuple[Counter, ...]:
    """A histogram of three observations, one of them above the bound."""
    return (
        Counter(f"{name}_bucket", {**labels, "le": le}, total=2),
        Counter(f"{name}_bucket", {**labels, "le": "300"}, total=3),
        Counter(f"{name}_bucket", {**labels, "le": "+Inf"}, total=3),
        Counter(f"{name}_count", labels, total=3),
    )

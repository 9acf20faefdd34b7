"""What a panel is made of. In expressions `@` stands for the matchers of the chosen namespace.

No expression gives NaN: a quantile of nothing and a share of nothing are no data.
"""

from dataclasses import dataclass

RATE = "[$__rate_interval]"


@dataclass(frozen=True, slots=True)
class Query:
    expression: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """`alerts` are those whose runbooks it links to."""

    title: str
    queries: tuple[Query, ...]
    unit: str = "short"
    alerts: tuple[str, ...] = ()
    text: str = ""
    kind: str = "timeseries"
    stacked: bool = False
    steps: tuple[tuple[str, float | None], ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    """Values of a state, and what they are called."""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def by(labels: str) -> str:
    return f"sum by ({labels}) " if labels else "sum"


def rate(counter: str, labels: str = "", matchers: str = "", legend: str = "", *, exemplars: bool = False) -> Query:
    """A counter's increase a second."""
    return Query(_rate(counter, labels, matchers), legend or _legend(labels), exemplars)


def hourly(counter: str, labels: str, matchers: str = "") -> Query:
    """A counter's increase in the last hour."""
    return Query(f"{by(labels)}(increase({counter}{{@{matchers}}}[1h]))", _legend(labels))


def share(part: str, whole: str, legend: str) -> Query:
    """Of two expressions; no data while there is nothing to be a share of."""
    return Query(f"{part} / ({whole} > 0)", legend)


def share_of(counter: str, labels: str, part: str, whole: str = "") -> Query:
    """The share that the series with some more matchers have in a counter."""
    return share(_rate(counter, labels, part), _rate(counter, labels, whole), _legend(labels) or "share")


def quantiles(
    histogram: str, labels: str = "", matchers: str = "", of: tuple[float, ...] = (0.5, 0.95)
) -> tuple[Query, ...]:
    legend = f"{_legend(labels)} " if labels else ""
    inner = f"{by(f'{labels}, le' if labels else 'le')}(rate({histogram}_bucket{{@{matchers}}}{RATE}))"
    return tuple(
        Query(f"histogram_quantile({q:g}, {inner}) >= 0", f"{legend}p{q * 100:g}", exemplars=q == max(of)) for q in of
    )


def mean(histogram: str, labels: str = "") -> Query:
    legend = _legend(labels)
    return share(_rate(f"{histogram}_sum", labels), _rate(f"{histogram}_count", labels), f"{legend} mean".strip())


def gauge(name: str, labels: str = "", how: str = "sum", matchers: str = "", legend: str = "") -> Query:
    grouped = f" by ({labels}) " if labels else ""
    return Query(f"{how}{grouped}({name}{{@{matchers}}})", legend or _legend(labels))


def _rate(counter: str, labels: str, matchers: str = "") -> str:
    return f"{by(labels)}(rate({counter}{{@{matchers}}}{RATE}))"


def _legend(labels: str) -> str:
    return " ".join(f"{{{{{one}}}}}" for one in labels.split(", ") if one)

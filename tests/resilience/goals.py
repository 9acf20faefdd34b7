"""Goals of a scenario: what was measured, and whether it is good enough."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.resilience.asking import Outcome


@dataclass(frozen=True)
class Goal:
    name: str
    measured: str
    wanted: str
    reached: bool


@dataclass
class Sheet:
    """The goals of one scenario, in order."""

    title: str
    goals: list[Goal] = field(default_factory=list)

    def at_most(self, name: str, measured: float, most: float, unit: str = "") -> None:
        self.goals.append(Goal(name, f"{measured:,.4g}{unit}", f"≤ {most:,.4g}{unit}", measured <= most))

    def at_least(self, name: str, measured: float, least: float, unit: str = "") -> None:
        self.goals.append(Goal(name, f"{measured:,.4g}{unit}", f"≥ {least:,.4g}{unit}", measured >= least))

    def none(self, name: str, found: Iterable[object]) -> None:
        """Nothing of this kind was found."""
        listed = [str(one) for one in found]
        shown = "none" if not listed else f"{len(listed)}: {'; '.join(listed[:3])}"
        self.goals.append(Goal(name, shown, "none", not listed))

    def tell(self, name: str, measured: str) -> None:
        """A figure without a goal."""
        self.goals.append(Goal(name, measured, "", reached=True))

    @property
    def missed(self) -> list[str]:
        return [f"{goal.name}: {goal.measured}, wanted {goal.wanted}" for goal in self.goals if not goal.reached]

    def table(self) -> str:
        lines = [f"{self.title}"]
        for goal in self.goals:
            mark = " " if not goal.wanted else "+" if goal.reached else "-"
            lines.append(f"  {mark} {goal.name:<58} {goal.measured:>22}   {goal.wanted}")
        return "\n".join(lines)


def share(outcomes: Iterable[Outcome], counts: Callable[[Outcome], bool]) -> float:
    listed = list(outcomes)
    return sum(map(counts, listed)) / len(listed) if listed else 0.0


def percentile(values: Iterable[float], part: float) -> float:
    """The smallest value that this part of the values does not exceed; 0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0

"""Schedules of a provider: by the number of the call, by chance, by the time."""

import random
from collections.abc import Callable

from tests.resilience.acts import Act, Call, answer
from tests.resilience.failures import FAILURES, Doing

Schedule = Callable[[int, Call], Act]


def in_turn(*doings: Doing) -> Schedule:
    """The last one again and again."""
    return lambda number, call: doings[min(number, len(doings) - 1)](call)


def at_random(share: float, names: tuple[str, ...], seed: int) -> Schedule:
    """This share of the calls fails in one of the ways named, the others are answered."""
    chance = random.Random(seed)

    def act(_: int, call: Call) -> Act:
        return FAILURES[chance.choice(names)](call) if chance.random() < share else answer(call)

    return act


def while_down(is_down: Callable[[], bool], failing: Doing, else_: Doing = answer) -> Schedule:
    """Fails as long as it is down."""
    return lambda _, call: (failing if is_down() else else_)(call)

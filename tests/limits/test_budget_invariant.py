"""Whatever runs do, in any order and number: no budget is ever overdrawn, and no nano-dollar is lost."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.access.principal import Principal
from app.errors import BudgetExceeded
from app.limits.allowance import Growth
from app.limits.limiter import Limiter
from app.limits.reservation import Reservation
from app.messages import NANOS, Usage
from app.settings import load
from app.state.redis import connect
from tests.limits.watched import WatchedStore
from tests.redis_server import RedisServer

LIMITS = {
    "budget_user_day_usd": 1e-6,  # 1,000 nano-dollars, so that examples reach the limits
    "budget_user_day_tokens": 1_000,
    "budget_team_month_usd": 1.5e-6,
    "budget_global_day_usd": 2e-6,
    "budget_global_day_tokens": 2_500,
}
MOST = {"user": (1_000, 1_000), "team": (None, 1_500), "global": (2_500, 2_000)}

amounts = st.integers(0, 700)
admits = st.tuples(st.just("admit"), st.sampled_from("abc"), amounts, amounts, st.floats(0, 1))
spends = st.tuples(st.just("spend"), st.integers(0, 9), st.floats(0, 1), st.booleans())
grows = st.tuples(st.just("grow"), st.integers(0, 9), amounts, amounts, st.floats(0, 1), st.booleans())
ends = st.tuples(st.sampled_from(["settle", "settle again", "renew", "die"]), st.integers(0, 9))
moves = st.tuples(st.just("move"), st.integers(0, 9), st.booleans())
steps = st.lists(admits | spends | grows | ends | moves, max_size=40)


@dataclass
class World:
    """Three users, two of them of one team, and what is expected of them."""

    store: WatchedStore
    limiter: Limiter
    going: list[Reservation] = field(default_factory=list)
    over: list[Reservation] = field(default_factory=list)
    spent_nanos: int = 0
    runs: int = 0
    principal: dict[str, Principal] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)
    """The last step of a run that the store knows of, where its process may not."""

    async def admit(self, user: str, tokens: int, nanos: int, least: float) -> None:
        self.runs += 1
        principal = Principal(user, team="core" if user != "c" else None, authenticated=True)
        floor = (int(tokens * least), int(nanos * least))
        first = Growth((tokens, nanos), floor)
        reservation = self.limiter.reservation(
            principal, "chat", f"run-{self.runs}", (2 * tokens, 2 * nanos), lambda: first
        )
        self.principal[reservation.run_id] = principal
        try:
            await self.limiter.reserve(reservation, lambda _: None)
        except BudgetExceeded:
            return
        if reservation.checks.budgets:
            assert floor[0] <= reservation.allowance.tokens <= tokens
            assert floor[1] <= reservation.allowance.nanos <= nanos
        self.going.append(reservation)

    async def spend(self, number: int, share: float, settles: bool) -> None:
        if reservation := _pick(self.going, number):
            tokens, nanos = int(reservation.allowance.tokens * share), int(reservation.allowance.nanos * share)
            reservation.record("m", Usage(tokens), nanos / NANOS)
            self.spent_nanos += nanos
            if settles:
                await self.limiter.settle(reservation, over=False)

    async def grow(self, number: int, tokens: int, nanos: int, least: float, twice: bool) -> None:
        """Settle and reserve for the next call; `twice`: as if the first reply had been lost."""
        reservation = _pick(self.going, number)
        if reservation is None or not reservation.checks.budgets:
            return
        allowance = reservation.allowance
        wanted = (min(tokens, allowance.most_tokens), min(nanos, allowance.most_nanos))
        growth = Growth(wanted, (int(wanted[0] * least), int(wanted[1] * least)))
        before = (allowance.tokens, allowance.nanos)
        if twice:
            await self._settle_unheard(reservation, growth, over=False)
        await self.limiter.settle(reservation, growth, over=False)
        if reservation.refusal is None:
            assert allowance.tokens >= growth.least[0]
            assert allowance.nanos >= growth.least[1]
        else:
            assert isinstance(reservation.refusal, BudgetExceeded)
            assert (allowance.tokens, allowance.nanos) == before

    async def settle(self, number: int) -> None:
        if reservation := _pick(self.going, number):
            self.going.remove(reservation)
            self.over.append(reservation)
            await self.limiter.settle(reservation)

    async def settle_again(self, number: int) -> None:
        """As if the reply to the settlement, which was carried out, had been lost."""
        if reservation := _pick(self.going, number):
            await self._settle_unheard(reservation, None, over=True)
            await self.settle(number)

    async def _settle_unheard(self, reservation: Reservation, growth: Growth | None, *, over: bool) -> None:
        self.store.lose = 1
        await self.limiter.settle(reservation, growth, over=over)
        self.store.lose = 0

    async def renew(self, number: int) -> None:
        for reservation in (_pick(self.going, number), _pick(self.over, number)):
            if reservation is not None:
                with suppress(BudgetExceeded):
                    await self.limiter.renew(reservation)

    async def move(self, number: int, settles: bool) -> None:
        """Another process goes on with the run. `settles`: the first had settled more than it wrote down."""
        if reservation := _pick(self.going, number):
            self.going.remove(reservation)
            held, unsettled = reservation.held, reservation.unsettled
            if settles:
                await self.limiter.settle(reservation, over=False)
                self.told[held.run_id] = reservation.held.steps
            moved = Limiter(load(None, usage_days=0, **LIMITS), self.store).resume(self.principal[held.run_id], held)
            await self.limiter.reserve(moved, lambda _: None)
            for step in unsettled:
                moved.record("m", Usage(step[2]), step[6] / NANOS)
            self.going.append(moved)

    async def die(self, number: int) -> None:
        """The run's process is killed: what it had not settled is not known to anyone."""
        if reservation := _pick(self.going, number):
            self.going.remove(reservation)
            self.spent_nanos -= sum(
                int(step[6]) for step in reservation.unsettled if step[0] > self.told.get(reservation.run_id, 0)
            )
            run = f"run:{reservation.run_id}"
            for name in reservation.checks.budget_keys:
                key = f"{name}:{reservation.day[:7] if ':team:' in name else reservation.day}"
                held = await self.store.call("HGET", key, run)
                if held is not None:
                    dead = held.decode().rpartition(":")[0] + ":1"
                    await self.store.call("HSET", key, run, dead, "due", 1)

    async def check(self) -> None:
        for key in await self.store.call("KEYS", "{limits}:budget:*"):
            assert await self.store.call("TTL", key) > 0
            reply = await self.store.call("HGETALL", key)
            fields = {name.decode(): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
            held = [value.split(b":") for name, value in fields.items() if name.startswith("run:")]
            assert int(fields["rt"]) == sum(int(tokens) for tokens, _, _ in held)
            assert int(fields["rc"]) == sum(int(nanos) for _, nanos, _ in held)
            assert int(fields["due"]) <= min((int(dies) for _, _, dies in held), default=int(fields["due"]))
            most_tokens, most_nanos = MOST[_scope(key.decode())]
            if most_tokens is not None:
                assert int(fields.get("st", 0)) + int(fields.get("rt", 0)) <= most_tokens
            assert int(fields.get("sc", 0)) + int(fields.get("rc", 0)) <= most_nanos

    async def check_end(self) -> None:
        while self.going:
            await self.settle(0)
        total = await self.store.call("HMGET", f"{{limits}}:budget:global:{await self._today()}", "sc", "rc")
        assert int(total[0] or 0) == self.spent_nanos

    async def _today(self) -> str:
        for key in await self.store.call("KEYS", "{limits}:budget:global:*"):
            return str(key.decode().rpartition(":")[2])
        return ""


def _pick(reservations: list[Reservation], number: int) -> Reservation | None:
    return reservations[number % len(reservations)] if reservations else None


def _scope(key: str) -> str:
    return key.split(":")[2]


async def _live(url: str | None, todo: list[tuple[object, ...]]) -> None:
    store = WatchedStore(connect(url))
    try:
        await store.call("FLUSHALL")
        world = World(store, Limiter(load(None, usage_days=0, **LIMITS), store))
        for name, *arguments in todo:
            await getattr(world, str(name).replace(" ", "_"))(*arguments)
            await world.check()
        await world.check_end()
        await world.check()
    finally:
        await store.aclose()


@settings(max_examples=60, deadline=None)
@given(todo=steps)
def test_in_process(todo: list[tuple[object, ...]]) -> None:
    asyncio.run(_live(None, todo))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(todo=steps)
def test_on_a_real_server(redis_server: RedisServer, todo: list[tuple[object, ...]]) -> None:
    asyncio.run(_live(redis_server.url, todo))

"""Whatever runs do, in any order and number: no budget is ever overdrawn, and no nano-dollar is lost."""

import asyncio
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.access.principal import Principal
from app.errors import BudgetExceeded
from app.limits.allowance import Growth
from app.limits.budgets import NANOS
from app.limits.limiter import Limiter
from app.limits.reservation import Claim
from app.messages import Usage
from app.settings import load
from app.state.redis import connect
from app.state.store import Store
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
steps = st.lists(admits | spends | grows | ends, max_size=40)


@dataclass
class World:
    """Three users, two of them of one team, and what is expected of them."""

    store: Store
    limiter: Limiter
    going: list[Claim] = field(default_factory=list)
    over: list[Claim] = field(default_factory=list)
    spent_nanos: int = 0
    runs: int = 0

    async def admit(self, user: str, tokens: int, nanos: int, least: float) -> None:
        self.runs += 1
        principal = Principal(user, team="core" if user != "c" else None, authenticated=True)
        floor = (int(tokens * least), int(nanos * least))
        first = Growth((tokens, nanos), floor)
        claim = self.limiter.claim(principal, "chat", f"run-{self.runs}", (2 * tokens, 2 * nanos), lambda: first)
        try:
            await self.limiter.admit(claim, lambda _: None)
        except BudgetExceeded:
            return
        if claim.budgets:
            assert floor[0] <= claim.allowance.tokens <= tokens
            assert floor[1] <= claim.allowance.nanos <= nanos
        self.going.append(claim)

    async def spend(self, number: int, share: float, settles: bool) -> None:
        if claim := _pick(self.going, number):
            tokens, nanos = int(claim.allowance.tokens * share), int(claim.allowance.nanos * share)
            claim.record("m", Usage(tokens), nanos / NANOS)
            self.spent_nanos += nanos
            if settles:
                await self.limiter.settle(claim, over=False)

    async def grow(self, number: int, tokens: int, nanos: int, least: float, twice: bool) -> None:
        """Settle and reserve for the next call; `twice`: as if the first reply had been lost."""
        claim = _pick(self.going, number)
        if claim is None or not claim.budgets:
            return
        allowance = claim.allowance
        wanted = (min(tokens, allowance.most_tokens), min(nanos, allowance.most_nanos))
        growth = Growth(wanted, (int(wanted[0] * least), int(wanted[1] * least)))
        before = (allowance.tokens, allowance.nanos)
        if twice and (call := claim.settlement(over=False, growth=growth)):
            await self.limiter._settlement(call[0], *call[1])
        await self.limiter.settle(claim, growth, over=False)
        if claim.refusal is None:
            assert allowance.tokens >= growth.least[0]
            assert allowance.nanos >= growth.least[1]
        else:
            assert isinstance(claim.refusal, BudgetExceeded)
            assert (allowance.tokens, allowance.nanos) == before

    async def settle(self, number: int) -> None:
        if claim := _pick(self.going, number):
            self.going.remove(claim)
            self.over.append(claim)
            await self.limiter.settle(claim)

    async def settle_again(self, number: int) -> None:
        """As if the reply to the settlement, which was carried out, had been lost."""
        if (claim := _pick(self.going, number)) and (call := claim.settlement(over=True)):
            keys, arguments = call
            await self.limiter._settlement(keys, *arguments)
            await self.settle(number)

    async def renew(self, number: int) -> None:
        for claim in (_pick(self.going, number), _pick(self.over, number)):
            if claim is not None:
                keys, arguments = claim.renewal()
                claim.renewed(await self.limiter._admission(keys, *arguments), 0.0)

    async def die(self, number: int) -> None:
        """The run's process is killed: what it had not settled is not known to anyone."""
        if claim := _pick(self.going, number):
            self.going.remove(claim)
            self.spent_nanos -= sum(int(step[6]) for step in claim._steps)
            for key, period in zip(claim.budget_keys, claim.periods, strict=True):
                held = await self.store.call("HGET", f"{key}:{period}", f"run:{claim.run}")
                if held is not None:
                    dead = held.decode().rpartition(":")[0] + ":1"
                    await self.store.call("HSET", f"{key}:{period}", f"run:{claim.run}", dead, "due", 1)

    async def check(self) -> None:
        for key in await self.store.call("KEYS", "budget:*"):
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
        total = await self.store.call("HMGET", f"budget:global:{await self._today()}", "sc", "rc")
        assert int(total[0] or 0) == self.spent_nanos

    async def _today(self) -> str:
        for key in await self.store.call("KEYS", "budget:global:*"):
            return str(key.decode().split(":")[2])
        return ""


def _pick(claims: list[Claim], number: int) -> Claim | None:
    return claims[number % len(claims)] if claims else None


def _scope(key: str) -> str:
    return key.split(":")[1]


async def _live(url: str | None, todo: list[tuple[object, ...]]) -> None:
    store = connect(url)
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

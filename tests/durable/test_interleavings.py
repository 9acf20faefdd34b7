"""Any interleaving of two workers, whose leases run out at any time: nothing is written twice, lost, or written with a
claim that is gone, and each model call is settled once."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule
from msgspec import Struct, field

from app.access.principal import Principal
from app.durable import keys, scripts
from app.durable.bounds import bounds_of
from app.durable.record import Asked, Claim, Claimed, Consumed, Ending, OnBusy, RunTaken, Unapproved, Write
from app.durable.records import Records
from app.durable.replies import fields_of, texts
from app.errors import SessionBusy
from app.limits.calls import Calls
from app.limits.limiter import Limiter
from app.limits.reservation import Held, Reservation
from app.messages import Usage
from app.settings import load
from app.state.redis import connect
from app.state.store import Script
from tests.durable.stage import OWNER, brief, event, new_run
from tests.redis_server import RedisServer

T = TypeVar("T")
ADA = Principal("ada", authenticated=True)
MOST = (1_000_000, 10**9)
COST = (Usage(10, 5), 0.001)
CRASHES = 3
MOST_RUNS = 3
KEPT, LIMITED = brief(run_crashes=CRASHES), load(None, budget_user_day_usd=1_000)


class Model(Struct):
    """What a run has to be like."""

    run_id: str
    session: str
    status: str = "queued"
    claim: int = 0
    lapsed: bool = False
    crashes: int = 0
    cancelling: bool = False
    steps: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    approvals: dict[str, str] = field(default_factory=dict)

    @property
    def unfinished(self) -> bool:
        return self.status in ("queued", "running", "waiting")

    @property
    def undecided(self) -> list[str]:
        return [id_ for id_, status in self.approvals.items() if status == "pending"]

    def close_approvals(self, word: str = "withdrawn") -> None:
        """Nobody is asked any more."""
        words = {"pending": word, "approved": "withdrawn"}
        self.approvals = {id_: words.get(status, status) for id_, status in self.approvals.items()}


class Hold(Struct):
    """A worker's hold on a run, which may be gone."""

    claim: Claim
    steps: int
    events: int
    reservation: Reservation
    sent: list[Write] = field(default_factory=list)


class Interleavings(RuleBasedStateMachine):
    url: str | None = None
    runs = Bundle("runs")
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.models: dict[str, Model] = {}
        self.settled = 0

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)

    @initialize()
    def start(self) -> None:
        async def make() -> None:
            self.store = connect(self.url)
            await self.store.call("FLUSHALL")
            self.workers = [Records(self.store, KEPT) for _ in range(2)]
            self.limiters = [Limiter(LIMITED, self.store) for _ in range(2)]

        self.do(make())

    def teardown(self) -> None:
        self.do(self.store.aclose())
        self.loop.close()

    @rule(
        target=runs, session=st.sampled_from(["", "", "s"]), on_busy=st.sampled_from(["reject", "enqueue", "interrupt"])
    )
    def create(self, session: str, on_busy: OnBusy) -> str:
        run_id = f"run-{len(self.models)}"
        others = self.line(session)
        creating = self.workers[0].create(new_run(run_id, session=session, on_busy=on_busy))
        if others and on_busy == "reject":
            with pytest.raises(SessionBusy) as refused:
                self.do(creating)
            assert refused.value.run_id == others[0].run_id
            return others[0].run_id
        self.do(creating)
        self.models[run_id] = Model(run_id, session)
        for other in others if on_busy == "interrupt" else []:
            other.cancelling = True
            self.end_idle(other)
        return run_id

    def line(self, session: str) -> list[Model]:
        """Runs of the session that are not over, in turn."""
        return [model for model in self.models.values() if session and model.session == session and model.unfinished]

    def claimable(self, model: Model) -> bool:
        if model.status == "running":
            return model.lapsed
        if model.status == "waiting":
            return model.cancelling
        first = self.line(model.session)[:1]
        return model.status == "queued" and (model.cancelling or not first or first[0] is model)

    def end_idle(self, model: Model) -> None:
        """It is to be cancelled, and no worker has it."""
        if self.claimable(model):
            model.claim += 1
            model.crashes += model.status == "running"
            self.finish(model, "cancelled", b"run.failed")

    def finish(self, model: Model, status: str, last: bytes) -> None:
        model.status = status
        model.close_approvals("expired" if status == "expired" else "withdrawn")
        model.events.append(last)

    @rule(target=holds, run=runs, at=st.integers(0, 1))
    def take(self, run: str, at: int) -> Any:
        claimed = self.do(self.workers[at].claim(run))
        return multiple() if self.taken(self.models[run], claimed) else (at, self.do(self.hold(at, claimed)))

    def taken(self, model: Model, claimed: Claimed | None) -> bool:
        """Whether there is nothing to work on. Checks the claim."""
        if not self.claimable(model):
            assert claimed is None
            return True
        model.claim += 1
        model.crashes += model.status == "running"
        if model.cancelling:
            self.finish(model, "cancelled", b"run.failed")
        elif model.crashes >= CRASHES:
            self.finish(model, "failed", b"run.failed")
        else:
            model.status, model.lapsed = "running", False
            assert claimed is not None
            assert claimed.claim.number == model.claim
            assert list(claimed.steps) == model.steps
            assert claimed.record.last_event == len(model.events)
            return False
        assert claimed is None
        return True

    async def hold(self, at: int, claimed: Claimed | None) -> Hold:
        assert claimed is not None
        run_id, carried = claimed.claim.run_id, claimed.record.carried
        if carried:
            reservation = self.limiters[at].resume(ADA, msgspec.json.decode(carried, type=Held))
        else:
            reservation = self.limiters[at].reservation(ADA, "chat", run_id, MOST)
        await self.limiters[at].reserve(reservation, lambda _: None)
        return Hold(claimed.claim, len(claimed.steps), claimed.record.last_event, reservation)

    @rule(held=holds, steps=st.integers(0, 2), count=st.integers(0, 3), ends=st.booleans(), again=st.integers(0, 2))
    def write(self, held: tuple[int, Hold], steps: int, count: int, ends: bool, again: int) -> None:
        """With `again`, it is sent so many times more, as if the reply had been lost."""
        at, hold = held
        model = self.models[hold.claim.run_id]
        holds = (model.status, model.claim) == ("running", hold.claim.number)
        new_steps = [b'{"of":"%d.%d"}' % (hold.claim.number, hold.steps + number) for number in range(1, steps + 1)]
        new_events = [event(hold.events + number) for number in range(1, count + 1)]
        new_events += [b"run.finished {}"] * ends
        reservation = hold.reservation
        reservation.ended = ends
        for _ in new_steps:
            reservation.record("m", *COST)
        recorded = len(reservation.steps)
        settlement = Calls(60, 86_400).settlement(reservation) if steps or ends else None
        held_then = msgspec.structs.replace(
            reservation.held, steps=reservation.held.steps + recorded - reservation.sent
        )
        write = Write(
            hold.claim,
            hold.steps + 1,
            tuple(new_steps),
            hold.events + 1,
            tuple(new_events),
            carried=msgspec.json.encode(held_then) if steps else b"",
            settlement=settlement,
            ending=Ending("succeeded", answer=b"{}") if ends else None,
        )
        hold.sent += [write] * holds
        for _ in range(again + 1):
            if holds:
                written = self.do(self.workers[at].write(write))
                assert written.cancelling == model.cancelling or ends
            else:
                with pytest.raises(RunTaken) as refused:
                    self.do(self.workers[at].write(write))
                assert not refused.value.lost
        reservation.recorded(recorded)
        if not holds:
            return
        hold.steps += steps
        hold.events += len(new_events)
        model.steps += new_steps
        model.events += new_events
        self.settled += steps
        if ends:
            model.status = "succeeded"
            model.close_approvals()

    @rule(held=holds, which=st.integers(0, 9))
    def write_arrives_late(self, held: tuple[int, Hold], which: int) -> None:
        at, hold = held
        if not hold.sent:
            return
        model, write = self.models[hold.claim.run_id], hold.sent[which % len(hold.sent)]
        ended = write.ending is not None and (model.status, model.claim) == ("succeeded", hold.claim.number)
        if ended or (model.status, model.claim) == ("running", hold.claim.number):
            self.do(self.workers[at].write(write))
        else:
            with pytest.raises(RunTaken):
                self.do(self.workers[at].write(write))

    @rule(held=holds, count=st.integers(0, 2), again=st.booleans())
    def pause(self, held: tuple[int, Hold], count: int, again: bool) -> None:
        """Until people have decided on so many calls, and on those that were asked about before."""
        at, hold = held
        model, run_id = self.models[hold.claim.run_id], hold.claim.run_id
        reservation = hold.reservation
        reservation.ended = True
        reservation.record("m", *COST)
        step = b'{"asks":"%d.%d"}' % (hold.claim.number, hold.steps + 1)
        new = [f"{run_id}-{hold.claim.number}-{hold.steps}-{number}" for number in range(count)]
        held_then = msgspec.structs.replace(
            reservation.held, steps=reservation.held.steps + len(reservation.steps) - reservation.sent
        )
        write = Write(
            hold.claim,
            hold.steps + 1,
            (step,),
            carried=msgspec.json.encode(held_then),
            settlement=Calls(60, 86_400).settlement(reservation),
            asked=tuple(Asked(id_, "", "pay", id_, 2e9, b"{}") for id_ in new),
            ending=Ending("waiting"),
            waits_until=2e9,
        )
        if (model.status, model.claim) != ("running", hold.claim.number):
            with pytest.raises(RunTaken):
                self.do(self.workers[at].write(write))
            return
        self.do(self.workers[at].write(write))
        reservation.recorded(len(reservation.steps))
        hold.steps += 1
        model.steps.append(step)
        self.settled += 1
        if new:
            model.close_approvals()
        model.approvals |= dict.fromkeys(new, "pending")
        model.status = "waiting" if model.undecided else "queued"
        if model.cancelling:
            self.end_idle(model)
        if again and model.undecided:
            self.do(self.workers[at].write(write))

    @rule(run=runs, word=st.sampled_from(["approved", "denied"]), which=st.integers(0, 9))
    def decide(self, run: str, word: str, which: int) -> None:
        model = self.models[run]
        if not model.approvals:
            return
        approval = list(model.approvals)[which % len(model.approvals)]
        decide = Script(self.store, bounds_of(KEPT) + scripts.DECIDE)
        arguments = (approval, run, word, "bob", "", approval, "{}", len(model.steps))

        async def ask() -> Any:
            return await decide((keys.approval_key(approval),), *arguments, read=fields_of)

        reply = self.do(ask())
        if model.approvals[approval] != "pending":
            assert reply[b"over"].decode() == model.approvals[approval]
            return
        model.approvals[approval] = word
        goes_on = model.status == "waiting" and not model.undecided
        assert (reply[b"due"] == b"1") == goes_on
        if goes_on:
            model.status = "queued"

    @rule(held=holds, which=st.integers(0, 9), again=st.booleans())
    def consume(self, held: tuple[int, Hold], which: int, again: bool) -> None:
        """A call is begun with an approval."""
        at, hold = held
        model = self.models[hold.claim.run_id]
        if not model.approvals or (model.status, model.claim) != ("running", hold.claim.number):
            return
        approval = list(model.approvals)[which % len(model.approvals)]
        write = Write(hold.claim, consumed=(Consumed(approval, approval),))
        if model.approvals[approval] == "approved":
            for _ in range(1 + again):
                self.do(self.workers[at].write(write))
            model.approvals[approval] = f"consumed by {model.claim}"
        elif model.approvals[approval] == f"consumed by {model.claim}":
            self.do(self.workers[at].write(write))
        else:
            with pytest.raises(Unapproved):
                self.do(self.workers[at].write(write))

    @rule(run=runs)
    def expire(self, run: str) -> None:
        """Nobody decides in time."""
        model = self.models[run]
        if model.status == "waiting" and not model.cancelling:
            self.do(self.call("HSET", keys.run_key(run), "until", 1))
            self.do(self.call("ZADD", keys.DUE, 1, run))
            assert self.do(self.workers[0].claim(run)) is None
            model.claim += 1
            self.finish(model, "expired", b"run.failed")

    @rule(target=holds, held=holds, at=st.integers(0, 1))
    def overtake(self, held: tuple[int, Hold], at: int) -> Any:
        """Another worker takes the run while the first one sleeps."""
        run = held[1].claim.run_id
        self.lapse(run)
        return self.take(run, at)

    @rule(held=holds)
    def hand_back(self, held: tuple[int, Hold]) -> None:
        at, hold = held
        model = self.models[hold.claim.run_id]
        self.do(self.workers[at].hand_back(hold.claim))
        if (model.status, model.claim) == ("running", hold.claim.number):
            model.status, model.lapsed = "queued", False
            if model.cancelling:
                self.end_idle(model)

    @rule(held=holds)
    def renew(self, held: tuple[int, Hold]) -> None:
        at, hold = held
        model = self.models[hold.claim.run_id]
        kept = self.do(self.workers[at].renew([hold.claim]))
        if (model.status, model.claim) == ("running", hold.claim.number):
            model.lapsed = False
            assert list(kept) == [(hold.claim, model.cancelling)]
        else:
            assert not kept

    @rule(run=runs)
    def lapse(self, run: str) -> None:
        """Its worker has died, or only sleeps."""
        model = self.models[run]
        if model.status == "running":
            seconds, micros = self.do(self.call("TIME"))
            now = int(seconds) * 1000 + int(micros) // 1000
            self.do(self.call("ZADD", keys.LEASES, now - 1, run))
            model.lapsed = True

    async def call(self, *command: str | int) -> Any:
        return await self.store.call(*command)

    @rule(run=runs)
    def cancel(self, run: str) -> None:
        model = self.models[run]
        assert self.do(self.workers[1].cancel(OWNER, run)) == model.status
        if model.unfinished:
            model.cancelling = True
            self.end_idle(model)

    @rule()
    def look_for_due(self) -> None:
        found = self.do(self.workers[0].due())
        waiting = [model for model in self.models.values() if self.claimable(model)]
        for model in waiting:
            if model.cancelling or model.crashes + model.lapsed >= CRASHES:
                assert model.run_id not in found
                self.taken(model, None)
        expected = {model.run_id for model in waiting if model.unfinished}
        assert set(found) >= expected, "a run would wait for ever"
        assert set(found) - expected <= {model.run_id for model in self.models.values() if self.claimable(model)}

    @invariant()
    def nothing_is_lost_or_there_twice(self) -> None:
        for model in self.models.values():
            record = self.do(self.workers[0].read(OWNER, model.run_id))
            assert record is not None
            assert (record.status, record.claims, record.crashes) == (model.status, model.claim, model.crashes)
            told = self.do(self.workers[1].events(OWNER, model.run_id, 0))
            assert [number for number, _ in told] == list(range(1, len(model.events) + 1))
            assert all(line.startswith(wanted) for (_, line), wanted in zip(told, model.events, strict=True))
            kept = model.steps if model.unfinished else []
            assert self.do(self.call("LRANGE", keys.steps_key(model.run_id), 0, -1)) == kept

    @invariant()
    def approvals_are_as_they_were_decided_on(self) -> None:
        for model in self.models.values():
            for id_, status in model.approvals.items():
                kept = self.do(self.call("HGET", keys.approval_key(id_), "status"))
                assert kept.decode() == status.partition(" ")[0]
            assert model.status != "waiting" or model.undecided, "nobody would be asked"
        undecided = {id_ for model in self.models.values() for id_ in model.undecided}
        assert set(texts(self.do(self.call("ZRANGE", keys.PENDING, 0, -1)))) == undecided

    @invariant()
    @precondition(lambda self: self.settled)
    def each_call_is_settled_once(self) -> None:
        (standing,) = self.do(self.limiters[0].usage.standings(ADA))
        assert standing.tokens.spent == 15 * self.settled
        assert round(standing.usd.spent * 1_000) == self.settled


SETTINGS = settings(
    max_examples=20,
    stateful_step_count=25,
    phases=[Phase.generate, Phase.reuse, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


class InProcess(Interleavings):
    pass


InProcess.TestCase.settings = SETTINGS


class TestInProcess(InProcess.TestCase):  # type: ignore[misc, valid-type]
    pass


@pytest.fixture
def _on_a_server(redis_server: RedisServer) -> None:
    OnAServer.url = redis_server.url


class OnAServer(Interleavings):
    pass


OnAServer.TestCase.settings = SETTINGS


@pytest.mark.usefixtures("_on_a_server")
class TestOnAServer(OnAServer.TestCase):  # type: ignore[misc, valid-type]
    pass

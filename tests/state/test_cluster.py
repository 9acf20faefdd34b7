"""Every script on a server in cluster mode, which refuses one whose keys are not in one slot."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import hiredis
import pytest

from app.access.principal import ANONYMOUS_TIER, Principal
from app.audit import scripts as audit_scripts
from app.audit.build import Recording
from app.audit.entry import Entry
from app.audit.retention import Retention
from app.durable import scripts as durable_scripts
from app.durable.approvals.approvals import Approvals
from app.durable.record import Asked, Claim, Consumed, Ending, Write
from app.durable.records import Records
from app.errors import StateUnavailable
from app.limits import scripts as limits_scripts
from app.limits.allowance import Growth
from app.limits.calls import Calls
from app.limits.limiter import Limiter
from app.limits.subject import usage_name
from app.messages import AssistantMessage, Turn, Usage, UserMessage
from app.settings import load
from app.state import scripts as state_scripts
from app.state.answer_cache import AnswerCache, KeptAnswer
from app.state.bounds import Bounds
from app.state.feedback import FeedbackInStore, KeptRun, Marks
from app.state.redis import connect
from app.state.sessions import Sessions
from app.state.similar_answers import AnsweredQuestion, SimilarAnswers
from app.state.store import Argument, Script, Store, unavailable
from tests import redis_server as redis
from tests.durable.approvals.people import asked_steps, encode, waiting_approval
from tests.durable.stage import events, new_run, steps
from tests.redis_server import RedisServer
from tests.service import Service

SCRIPTS = {
    name: source
    for module in (limits_scripts, state_scripts, durable_scripts, audit_scripts)
    for name, source in vars(module).items()
    if name.isupper() and isinstance(source, str)
}
LIMITS = """{"global": {"per_minute": 100, "concurrent": 50},
    "tiers": {"default": {"user": {"per_minute": 50, "concurrent": 9}, "chat": {"per_minute": 20, "concurrent": 5}}}}"""
PRINCIPALS = (
    Principal("ada", team="core", authenticated=True),
    Principal("anonymous:ada", tier=ANONYMOUS_TIER, address="2001:db8::/64", peer="10.0.0.1"),
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One server that has all slots."""
    if redis.BINARY is None:
        pytest.skip(redis.MISSING)
    server = redis.one_node_cluster(tmp_path_factory.mktemp("cluster"))
    yield server
    server.stop()


class StrictStore:
    """Runs scripts such that they may not use a key of another slot either that was not announced."""

    def __init__(self, store: Store) -> None:
        self.ran: list[str] = []
        self._store = store

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        match command:
            case ("EVALSHA", *_):
                unknown: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                unknown.set_exception(unavailable(hiredis.ReplyError("NOSCRIPT")))
                return unknown
            case ("EVAL", str(source), *rest):
                self.ran.append(source)
                return self._store.call("EVAL", f"#!lua\n{source}", *rest)  # without it, only KEYS are looked at
        return self._store.call(*command)

    async def aclose(self) -> None:
        await self._store.aclose()


@pytest.fixture
async def store(cluster: RedisServer) -> AsyncIterator[StrictStore]:
    store = StrictStore(connect(cluster.url))
    await store.call("FLUSHALL")
    yield store
    await store.aclose()


@pytest.mark.parametrize(
    ("script", "keys"),
    [
        ("return redis.call('MGET', KEYS[1], KEYS[2])", ("a", "b")),
        ("return {redis.call('GET', KEYS[1]), redis.call('GET', 'b')}", ("a",)),
    ],
    ids=["announced", "made by the script"],
)
async def test_keys_of_two_slots_are_refused(store: StrictStore, script: str, keys: tuple[str, ...]) -> None:
    with pytest.raises(StateUnavailable, match=r".") as caught:
        await Script(store, script)(keys)
    assert "slot" in str(caught.value.__cause__)


async def test_every_script_stays_within_one_slot(store: StrictStore) -> None:
    for principal in PRINCIPALS:
        await _use_limits(store, principal)
        await _use_sessions(store, principal)
        await _use_feedback(store, principal)
        await _use_runs(store, principal)
        await _use_approvals(store, principal)
    await _use_answers(store)
    await _use_audit(store)
    left = {name for name, source in SCRIPTS.items() if not any(ran.endswith(source) for ran in store.ran)}
    assert not left, f"not run: {left}"
    assert len(SCRIPTS) >= 6


async def _use_limits(store: Store, principal: Principal) -> None:
    made = Limiter(
        load(None, limits=LIMITS, budget_user_day_usd=9, budget_team_month_usd=9, budget_global_day_usd=9), store
    )
    reservation = made.reservation(principal, "chat", f"run-of-{principal.user}", (1_000, 1_000_000))
    assert await made.reserve(reservation, print)
    reservation.record("m", Usage(10, 5), 0.0001)
    await made.settle(reservation, Growth((900, 900_000), (100, 100_000)), over=False)
    assert reservation.refusal is None
    await made.renew(reservation)
    taken_over = made.resume(principal, reservation.held)
    await made.reserve(taken_over, print)
    taken_over.record("m", Usage(10, 5), 0.0001)
    await made.settle(taken_over)
    assert taken_over.settled
    (row,) = await made.usage.of_caller(principal, 1)
    assert row.calls == 2
    assert all(standing.usd.spent == 0.0002 for standing in await made.usage.standings(principal))


async def _use_runs(store: Store, principal: Principal) -> None:
    owner, limiter = usage_name(principal), Limiter(load(None, budget_user_day_usd=9), store)
    records = Records(store, load(None, runs_per_user=3))
    due: list[str] = []
    records.on_due(due.append)
    ids = [f"{name}-of-{principal.user}" for name in ("first", "second", "third")]
    keyed = {"idempotency_key": "k", "fingerprint": "f"}
    limits: dict[str, Any] = {
        "counting": limiter.admission(limiter.counting(principal, "chat")),
        "admitting": limiter.admission(limiter.reservation(principal, "chat", ids[0], (1_000, 1_000_000))),
    }
    created = await records.create(new_run(ids[0], owner=owner, session="s", here=True, **keyed, **limits))
    assert created.claim
    assert created.admitted
    assert created.admitted.budgets
    assert (await records.create(new_run(ids[1], owner=owner, session="s", **keyed))).replayed
    await records.create(new_run(ids[1], owner=owner, session="s", on_busy="enqueue"))
    assert [record.work.run_id for record in (await records.list(owner)).runs] == ids[1::-1]
    reservation = limiter.reservation(principal, "chat", ids[0], (1_000, 1_000_000))
    reservation.record("m", Usage(10, 5), 0.0001)
    call = Calls(60, 86_400).settlement(reservation)
    await records.write(Write(Claim(ids[0], 1), **steps(1), **events(1, 2), settlement=call))
    assert [claim for claim, _ in await records.renew([Claim(ids[0], 1)])] == [Claim(ids[0], 1)]
    await records.hand_back(Claim(ids[0], 1))
    assert set(await records.due()) == {ids[0]}
    assert await records.claim(ids[0]) is not None
    ending = Ending("succeeded", delivery=b"{}")
    await records.write(Write(Claim(ids[0], 2), **events(3), settlement=call, ending=ending))
    assert due == [ids[1]]
    await records.create(new_run(ids[2], owner=owner, session="s", on_busy="interrupt"))
    assert await records.cancel(owner, ids[2]) == "queued"
    assert {record.status for record in (await records.list(owner)).runs} == {"succeeded", "cancelled"}
    await records.create(new_run(f"fourth-of-{principal.user}", owner=owner))
    assert await records.read(owner, ids[0]) is None
    assert len(await records.events(owner, ids[1], 0)) == 1
    await records.cancel(owner, f"fourth-of-{principal.user}")


async def _use_approvals(store: Store, principal: Principal) -> None:
    """One is asked for, decided on, and used up."""
    records, went_on = Records(store, load(None)), []
    run_id, team = f"asks-of-{principal.user}", principal.team or ""
    approvals = Approvals(store, load(None), lambda run_id, _: went_on.append(run_id))
    approval = waiting_approval(run_id)
    await records.create(new_run(run_id, here=True))
    asked = Asked(approval.approval_id, team, "pay", approval.binding, approval.expires_at, encode(approval))
    pause = Write(Claim(run_id, 1), 1, asked_steps(approval), asked=(asked,), ending=Ending("waiting"), waits_until=2e9)
    await records.write(pause)
    decider = Principal("eve", team=principal.team, authenticated=True)
    (listed,) = (await approvals.list(decider, status="pending")).approvals
    assert (await approvals.decide(decider, listed.approval_id, "approve", "")).status == "approved"
    assert went_on == [run_id]
    assert await records.claim(run_id) is not None
    consumed = (Consumed(approval.approval_id, approval.binding),)
    await records.write(Write(Claim(run_id, 2), consumed=consumed))
    await records.write(Write(Claim(run_id, 2), ending=Ending("succeeded")))
    listed = (await approvals.list(decider)).approvals[0]
    assert listed.status == "consumed"


async def _use_feedback(store: Store, principal: Principal) -> None:
    feedback = FeedbackInStore(store, 60)
    feedback.keep(principal.user, "run-1", KeptRun("default"))
    marked = await feedback.mark(principal.user, "run-1", Marks(completed=True))
    assert marked is not None
    assert marked.after.completed
    await feedback.aclose()


async def _use_answers(store: Store) -> None:
    cache, answer = AnswerCache(store, load(None, redis_url="redis://cluster")), KeptAnswer("42", "double/scripted")
    assert (await cache.find("k", "ada", 60)).status == "lead"
    assert (await cache.find("k", "bob", 60)).status == "wait"
    assert await cache.awaited("k", "ada")
    assert cache.keep("k", "ada", answer, 60)
    await cache.aclose()
    assert (await cache.read("k")).answer == answer
    similar = SimilarAnswers(store, in_process=False)
    similar.keep("s", AnsweredQuestion("form", "6 * 7?", "k"), 60)
    await similar.aclose()
    assert len(await similar.find("s")) == 1


async def _use_audit(store: Store) -> None:
    recording = Recording(load(None, redis_url="redis://cluster"), store)
    await recording.audit.write(Entry("admin", "allowed"))
    await recording.sealing.seal()
    assert await Retention(recording.audit.writer.stream, recording.sealing, most=0).trim() == 1


async def _use_sessions(store: Store, principal: Principal) -> None:
    bounds = Bounds(ttl_seconds=100, max_turns=3, sessions=2)
    sessions = Sessions(store, bounds, anonymous=not principal.authenticated)
    name, address = principal.user, principal.address
    for session in "abc":
        for number in range(5):
            turn = Turn(f"{number}", 1.5, (UserMessage("hi"), AssistantMessage("hello")))
            assert await sessions.append(name, session, turn, address=address)
    assert [len(await sessions.load(name, session)) for session in "abc"] == [0, 3, 3]
    assert [found.session_id for found in await sessions.list(name, 9, address=address)] == ["c", "b"]
    assert await sessions.delete(name, "c", address=address)


def test_the_service_works_on_it(cluster: RedisServer, serve: Callable[..., Service]) -> None:
    cluster.ask("FLUSHALL")
    service = serve(redis_url=cluster.url, limits=LIMITS)
    for message in ("hi", "again"):
        assert service.chat(message, session_id="s").json()["degraded"] == []
    assert len(service.ask("GET", "/sessions/s").json()["turns"]) == 2
    assert [row["calls"] for row in service.ask("GET", "/usage").json()["usage"]] == [2]

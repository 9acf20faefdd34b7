"""Webhooks reach their receivers: signed, again after failures, and once as long as leases hold."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from time import time

import msgspec
import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from app.durable.rendering import run_of
from app.durable.webhooks.backoff import Backoff
from app.durable.webhooks.deliverer import MOST_OF_HOST, MOST_OF_OWNER
from app.state.redis import connect
from app.state.store import Store
from tests.durable.webhooks.stage import (
    AT_ONCE,
    LOOPBACK,
    OTHER_SECRET,
    SECRET,
    Receiver,
    delivering,
    ended,
    once,
    secrets,
    settled,
    to_loopback,
    webhooks,
)
from tests.logged import capture_logs
from tests.redis_server import RedisServer


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("agent_webhook_deliveries_total", {"outcome": outcome}) or 0.0


async def test_a_receiver_is_sent_the_run_as_the_api_shows_it_signed_as_the_library_checks(
    store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    made = webhooks(store, secrets(tmp_path / "s"))
    before = count("delivered")
    with capture_logs() as lines:
        async with delivering(made):
            record = await ended(store, receiver.url())
            delivery = await settled(made, record, "delivered")
    [event] = receiver.events()
    assert event["type"] == "run.finished"
    assert msgspec.json.encode(event["data"]) == msgspec.json.encode(run_of(record))
    assert event["timestamp"] == event["data"]["ended_at"]
    [(headers, _)] = receiver.heard
    assert headers["webhook-id"] == record.work.run_id
    assert headers["Content-Type"] == "application/json"
    assert abs(int(headers["webhook-timestamp"]) - time()) < 60
    assert (delivery.attempts, delivery.next_attempt_at, delivery.url) == (1, None, receiver.url("/in"))
    assert [(each.status, each.reason) for each in delivery.log] == [(204, "")]
    assert count("delivered") == before + 1
    [line] = [line for line in lines if line["event"] == "webhook.delivered"]
    assert (line["run_id"], line["host"], line["attempt"], line["status"]) == (record.work.run_id, LOOPBACK, 1, 204)
    assert not any(word in str(lines) for word in ("t0ken", SECRET, SECRET[6:]))


async def test_a_receiver_that_was_down_is_told_when_it_is_up(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    made = webhooks(store, secrets(tmp_path / "s"))
    await receiver.stop()
    with capture_logs() as lines:
        async with delivering(made):
            record = await ended(store, receiver.url())
            await once(made, record, lambda delivery: delivery.attempts >= 3)
            await receiver.start()
            delivery = await settled(made, record, "delivered")
    assert receiver.ids() == [record.work.run_id]
    assert delivery.attempts >= 4
    assert [each.reason for each in delivery.log][-2:] == ["unreachable", ""]
    failed = next(line for line in lines if line["event"] == "webhook.failed")
    assert (failed["reason"], failed["attempt"]) == ("unreachable", 1)


async def test_all_attempts_have_one_id_and_one_body(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    made = webhooks(store, secrets(tmp_path / "s"))
    receiver.answers = [500, 503, 404, 301, 200]
    async with delivering(made):
        record = await ended(store, receiver.url(), answer="längst \u2028 \U0001f600")
        delivery = await settled(made, record, "delivered")
    assert receiver.ids() == [record.work.run_id] * 5
    assert len({body for _, body in receiver.heard}) == 1
    assert len(receiver.events()) == 5
    reasons = [(each.status, each.reason) for each in delivery.log]
    assert reasons == [(500, "status"), (503, "status"), (404, "status"), (301, "redirect"), (200, "")]


async def test_a_receiver_that_is_gone_is_left_alone(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    made = webhooks(store, secrets(tmp_path / "s"))
    receiver.answers = [500, 410]
    before = count("given_up")
    with capture_logs() as lines:
        async with delivering(made):
            record = await ended(store, receiver.url())
            delivery = await settled(made, record, "given_up")
            await asyncio.sleep(0.1)
    assert len(receiver.heard) == 2
    assert (delivery.attempts, delivery.next_attempt_at, delivery.log[-1].reason) == (2, None, "gone")
    assert count("given_up") == before + 1
    assert [line["reason"] for line in lines if line["event"] == "webhook.given_up"] == ["gone"]


async def test_a_delivery_is_given_up_after_its_last_attempt(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    made = webhooks(store, secrets(tmp_path / "s"), backoff=Backoff(first_seconds=0.02, total_seconds=0.2))
    receiver.answers = [500] * 50
    async with delivering(made):
        record = await ended(store, receiver.url())
        delivery = await settled(made, record, "given_up")
    assert 2 <= delivery.attempts == len(receiver.heard) < 10


async def test_a_receiver_that_asks_for_time_is_given_it(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    made = webhooks(store, secrets(tmp_path / "s"), backoff=Backoff(first_seconds=0.02, longest_seconds=500))

    async def later(_: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "300"})

    receiver.answers = [later]
    async with delivering(made):
        record = await ended(store, receiver.url())
        delivery = await once(made, record, lambda delivery: delivery.log)
    assert delivery.state == "pending"
    assert delivery.next_attempt_at is not None
    assert 290 < (delivery.next_attempt_at - datetime.now(UTC)).total_seconds() < 310


async def test_two_deliverers_send_each_delivery_once(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    folder = secrets(tmp_path / "s")
    records = [await ended(store, receiver.url()) for _ in range(30)]
    first, second = webhooks(store, folder), webhooks(store, folder)
    async with delivering(first, second):
        for record in records:
            await settled(first, record, "delivered")
    assert sorted(receiver.ids()) == sorted(record.work.run_id for record in records)


async def test_what_is_sent_when_its_deliverer_dies_is_sent_again_with_the_same_id(
    store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    folder = secrets(tmp_path / "s")
    arrived = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    receiver.answers = [hang]
    async with delivering(webhooks(store, folder, lease_seconds=0.2)):
        record = await ended(store, receiver.url())
        await arrived.wait()
    second = webhooks(store, folder, lease_seconds=0.2)
    async with delivering(second):
        delivery = await settled(second, record, "delivered")
    assert receiver.ids() == [record.work.run_id] * 2
    assert delivery.attempts == 1  # the other one is not known to have been


async def test_a_deliverer_that_leaves_notes_what_is_just_being_answered(
    store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    made = webhooks(store, secrets(tmp_path / "s"))

    async def slowly(_: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return web.Response()

    receiver.answers = [slowly]
    async with delivering(made):
        record = await ended(store, receiver.url())
        await receiver.hears(1)
    [delivery] = await made.deliveries(record)
    assert (delivery.state, delivery.attempts) == ("delivered", 1)


async def test_a_deliverer_that_was_held_up_past_its_lease_changes_nothing(
    store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    made = webhooks(store, secrets(tmp_path / "s"), lease_seconds=0.02)
    outbox = made._outbox
    record = await ended(store, receiver.url())
    [stale] = (await outbox.claim(1, 1, 1, {})).due
    await asyncio.sleep(0.05)
    [taken] = (await outbox.claim(1, 1, 1, {})).due
    assert taken.fence > stale.fence
    assert await outbox.mark(taken, "delivered", b"[]")
    assert not await outbox.mark(stale, "given_up", b"[]")
    [delivery] = await made.deliveries(record)
    assert (delivery.state, delivery.attempts) == ("delivered", 1)


async def test_a_run_can_be_sent_again(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    made = webhooks(store, secrets(tmp_path / "s"))
    receiver.answers = [410]
    async with delivering(made):
        record = await ended(store, receiver.url())
        await settled(made, record, "given_up")
        await made.redeliver(record)
        delivery = await settled(made, record, "delivered")
        await store.call("DEL", f"{{limits}}:delivery:{record.work.run_id}")
        assert await made.deliveries(record) == ()
        await made.redeliver(record)
        await settled(made, record, "delivered")
    assert receiver.ids() == [record.work.run_id] * 3
    assert len({body for _, body in receiver.heard}) == 1
    assert [each.status for each in delivery.log] == [410, 204]


async def test_secrets_are_exchanged_without_a_gap(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    folder = secrets(tmp_path / "s")
    made = webhooks(store, folder)
    async with delivering(made):
        for content, holds in ((SECRET, [SECRET]), (f"{OTHER_SECRET}\n{SECRET}\n", [SECRET, OTHER_SECRET])):
            secrets(folder, main=content)
            made._secrets.refresh()
            await settled(made, await ended(store, receiver.url()), "delivered")
            for secret in holds:
                assert receiver.events(secret)
            receiver.heard.clear()
        (folder / "main").rename(folder / "other")
        made._secrets.refresh()
        record = await ended(store, receiver.url())
        unsigned = await once(made, record, lambda delivery: delivery.log)
        assert unsigned.log[0].reason == "no_secret"
        (folder / "other").rename(folder / "main")
        made._secrets.refresh()
        await settled(made, record, "delivered")


async def test_a_store_that_was_away_loses_no_delivery(
    mortal_redis: RedisServer, receiver: Receiver, tmp_path: Path
) -> None:
    store = connect(mortal_redis.url)
    made = webhooks(store, secrets(tmp_path / "s"), lease_seconds=1)
    record = await ended(store, receiver.url())

    async def freezing(_: web.Request) -> web.Response:
        mortal_redis.freeze()
        asyncio.get_running_loop().call_later(0.3, mortal_redis.thaw)
        return web.Response(status=500)

    receiver.answers = [freezing]
    async with delivering(made):
        delivery = await settled(made, record, "delivered")
    await store.aclose()
    assert receiver.ids() == [record.work.run_id] * 2
    assert delivery.attempts == 2


async def test_a_dead_host_holds_up_no_other(store: Store, receiver: Receiver, tmp_path: Path) -> None:
    made = webhooks(store, secrets(tmp_path / "s"), hosts=(LOOPBACK, "localhost"))
    stuck = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await stuck.wait()
        return web.Response()

    receiver.by_path["/dead"] = hang
    dead = [await ended(store, receiver.url("/dead", "localhost")) for _ in range(40)]
    alive = await ended(store, receiver.url("/alive"))
    async with delivering(made):
        await settled(made, alive, "delivered")
        assert len(receiver.heard) == MOST_OF_HOST + 1
        stuck.set()
        for record in dead:
            await settled(made, record, "delivered")
    assert len(set(receiver.ids())) == len(receiver.heard) == 41


async def test_a_user_with_many_dead_hosts_holds_up_nobody_else(
    store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    made = webhooks(store, secrets(tmp_path / "s"), hosts=(LOOPBACK, ".internal"), look_up=to_loopback)
    stuck = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await stuck.wait()
        return web.Response()

    receiver.by_path["/dead"] = hang
    for number in range(MOST_OF_OWNER * 2):
        await ended(store, receiver.url("/dead", f"{number}.internal"))
    of_another = await ended(store, receiver.url("/alive"), owner="bob")
    async with delivering(made):
        await settled(made, of_another, "delivered")
        assert len(receiver.heard) == MOST_OF_OWNER + 1
        stuck.set()
        await receiver.hears(MOST_OF_OWNER * 2 + 1)


@pytest.mark.parametrize("what", ["slow", "huge", "redirect", "hang"])
async def test_receivers_cannot_hold_up_a_deliverer(
    store: Store, receiver: Receiver, tmp_path: Path, what: str
) -> None:
    made = webhooks(store, secrets(tmp_path / "s"), seconds=0.3, backoff=AT_ONCE)
    written = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal written
        if what == "hang":
            await asyncio.sleep(60)
        if what == "redirect":
            raise web.HTTPTemporaryRedirect(receiver.url("/elsewhere"))
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(10_000):
            await response.write(b"x" * (65_536 if what == "huge" else 1))
            written += 65_536
            if what == "slow":
                await asyncio.sleep(0.05)
        return response

    receiver.answers = [answer]
    async with delivering(made):
        record = await ended(store, receiver.url())
        delivery = await settled(made, record, "delivered")
    expected = {"slow": [""], "huge": [""], "redirect": ["redirect", ""], "hang": ["timeout", ""]}[what]
    assert [each.reason for each in delivery.log] == expected
    assert len(receiver.heard) == len(expected)
    if what == "huge":
        assert written < 64 * 2**20


async def test_an_address_that_is_not_public_any_more_is_not_sent_to(
    store: Store, receiver: Receiver, tmp_path: Path
) -> None:
    folder = secrets(tmp_path / "s")
    made = webhooks(store, folder, hosts=(), backoff=Backoff(total_seconds=0.0))
    async with delivering(made):
        for url in (receiver.url(), f"https://localhost:{receiver.port}/", f"https://127.0.0.1:{receiver.port}/"):
            delivery = await settled(made, await ended(store, url), "given_up")
            assert delivery.log[0].reason == "address_refused"
    assert receiver.heard == []


async def test_a_store_that_is_away_is_said_to_be_so_once(mortal_redis: RedisServer, tmp_path: Path) -> None:
    mortal_redis.stop()
    store = connect(mortal_redis.url)
    with capture_logs() as lines:
        async with delivering(webhooks(store, secrets(tmp_path / "s"))):
            await asyncio.sleep(0.1)
    await store.aclose()
    assert [line["event"] for line in lines] == ["webhook_secrets.loaded", "webhooks.away"]

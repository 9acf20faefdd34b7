"""Webhooks of runs: named, refused, delivered, shown and sent again; through the whole service."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from app.access.api_keys import new_secret
from app.errors import ConfigurationError
from app.main import create_app
from app.settings import load
from app.telemetry.known_series import DELIVERY_OUTCOMES
from tests.access.keys import line
from tests.api.serving import Service, serving
from tests.durable.webhooks.stage import LOOPBACK, OTHER_SECRET, SECRET, Receiver, secrets

ADA, BOB, CHATTY = (new_secret() for _ in range(3))
NOWHERE = "https://hooks.invalid/in"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Service]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "keys.jsonl").write_text(
        line(ADA, team="ops", scopes=["chat", "runs", "tools:*"])
        + line(BOB, user="bob", scopes=["chat", "runs"])
        + line(CHATTY, user="cleo", scopes=["chat"])
    )
    async with serving(
        auth="api-key",
        api_keys_file=folder / "keys.jsonl",
        refused_per_minute="off",
        webhook_secrets_dir=secrets(folder / "secrets", main=SECRET, team__ops__shop=OTHER_SECRET),
        webhook_hosts=LOOPBACK,
    ) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()


async def make(service: Service, url: str, secret: str = "main", key: str = ADA) -> tuple[int, Any]:
    body = {"query": "6 * 7", "webhook": {"url": url, "secret": secret}}
    status, answer, _ = await service.ask("POST", "/runs", key, body)
    return status, answer


async def delivered(service: Service, run_id: str) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            status, shown, _ = await service.ask("GET", f"/runs/{run_id}/deliveries", ADA)
            assert status == 200, shown
            if shown["deliveries"] and shown["deliveries"][0]["state"] == "delivered":
                return dict(shown["deliveries"][0])
            await asyncio.sleep(0.02)


async def test_a_receiver_is_sent_what_get_shows(service: Service, receiver: Receiver) -> None:
    receiver.heard.clear()
    status, made = await make(service, receiver.url(), "team.ops.shop")
    assert status == 202, made
    shown = await delivered(service, made["run_id"])
    _, run, _ = await service.ask("GET", f"/runs/{made['run_id']}", ADA)
    [event] = receiver.events(OTHER_SECRET)
    assert event == {"type": "run.finished", "timestamp": run["ended_at"], "data": run}
    assert "42" in run["answer"]["answer"]
    assert shown["webhook_id"] == made["run_id"]
    assert shown["url"] == receiver.url("/in")
    assert shown["secret"] == "team.ops.shop"
    assert shown["log"][0]["status"] == 204


async def test_a_run_that_fails_is_told_as_well(service: Service, receiver: Receiver) -> None:
    receiver.heard.clear()
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    body = {"query": "x", "start_at": later, "webhook": {"url": receiver.url(), "secret": "main"}}
    _, made, _ = await service.ask("POST", "/runs", ADA, body)
    _, before, _ = await service.ask("GET", f"/runs/{made['run_id']}/deliveries", ADA)
    assert before == {"deliveries": []}
    assert (await service.ask("POST", f"/runs/{made['run_id']}/redeliver", ADA))[0] == 409
    await service.ask("POST", f"/runs/{made['run_id']}/cancel", ADA)
    await delivered(service, made["run_id"])
    _, run, _ = await service.ask("GET", f"/runs/{made['run_id']}", ADA)
    [event] = receiver.events()
    assert event == {"type": "run.failed", "timestamp": run["ended_at"], "data": run}
    assert (run["status"], run["error"]["type"]) == ("cancelled", "urn:agent-api:problem:cancelled")


async def test_a_run_is_sent_again_to_its_owner_only(service: Service, receiver: Receiver) -> None:
    receiver.heard.clear()
    _, made = await make(service, receiver.url())
    await delivered(service, made["run_id"])
    path = f"/runs/{made['run_id']}/redeliver"
    assert (await service.ask("POST", path, BOB))[0] == 404
    assert (await service.ask("POST", path, CHATTY))[0] == 403
    assert (await service.ask("GET", f"/runs/{made['run_id']}/deliveries", BOB))[0] == 404
    assert (await service.ask("GET", f"/runs/{made['run_id']}/deliveries", CHATTY))[0] == 403
    status, answer, _ = await service.ask("POST", path, ADA)
    assert (status, answer) == (202, {"run_id": made["run_id"]})
    await receiver.hears(2)
    assert receiver.ids() == [made["run_id"]] * 2
    assert receiver.events()[0] == receiver.events()[1]


async def test_a_run_without_a_webhook_has_no_deliveries(service: Service) -> None:
    _, made, _ = await service.ask("POST", "/runs", ADA, {"query": "6 * 7"})
    path = f"/runs/{made['run_id']}"
    assert (await service.ask("GET", f"{path}/deliveries", ADA))[1] == {"deliveries": []}
    status, problem, _ = await service.ask("POST", f"{path}/redeliver", ADA)
    assert (status, problem["detail"]) == (409, "The run has no webhook: name one when you start a run.")


@pytest.mark.parametrize(
    ("url", "secret", "key", "field", "says"),
    [
        (NOWHERE, "main", ADA, "webhook.url", "without a public address"),
        ("https://localhost/in", "main", ADA, "webhook.url", "without a public address"),
        ("https://10.0.0.1/in", "main", ADA, "webhook.url", "without a public address"),
        ("http://1.1.1.1/in", "main", ADA, "webhook.url", "is not an https:// address"),
        ("https://a:b@1.1.1.1/in", "main", ADA, "webhook.url", "a user name or a password"),
        ("https://1.1.1.1/in", "prod", ADA, "webhook.secret", "main, team.ops.shop"),
        ("https://1.1.1.1/in", "team.ops.shop", BOB, "webhook.secret", "The secrets that you may name: main"),
        ("https://1.1.1.1/in", "../main", ADA, "webhook.secret", ""),
    ],
)
async def test_what_cannot_be_sent_is_refused_when_the_run_is_made(
    service: Service, url: str, secret: str, key: str, field: str, says: str
) -> None:
    status, problem = await make(service, url, secret, key)
    assert status == 422
    [error] = problem["errors"]
    assert error["field"] == field
    assert says in error["problem"]
    assert not any(word in str(problem) for word in (SECRET, OTHER_SECRET, "a:b@"))


async def test_a_service_without_secrets_takes_no_webhooks() -> None:
    async with serving() as made:
        status, problem = await make(made, "https://1.1.1.1/in", key="")
        assert status == 422
        assert "WEBHOOK_SECRETS_DIR is not set" in problem["detail"]
        _, run, _ = await made.ask("POST", "/runs", None, {"query": "6 * 7"})
        assert (await made.ask("GET", f"/runs/{run['run_id']}/deliveries"))[1] == {"deliveries": []}
        assert (await made.ask("POST", f"/runs/{run['run_id']}/redeliver"))[0] == 409


async def test_outcomes_are_counted_from_zero(service: Service) -> None:
    for outcome in DELIVERY_OUTCOMES:
        assert REGISTRY.get_sample_value("agent_webhook_deliveries_total", {"outcome": outcome}) is not None


async def test_secrets_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="WEBHOOK_SECRETS_DIR"):
        create_app(load(None, webhook_secrets_dir=tmp_path / "none"))

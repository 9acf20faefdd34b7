"""A store that goes away, falls silent and comes back: runs go on without their history, and say so."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Serve
from tests.redis_server import BINARY, MISSING, RedisServer, free_port
from tests.service import Service, problem_of

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

_FOR_EVER = -1  # what PTTL says of a key without an expiry


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("mortal"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, store: RedisServer) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("stored"), redis_url=store.url)
    service.may_log_errors = True  # the audit record is away as well
    yield service
    service.end()


def test_sessions_outlive_the_process(
    stored: Service, store: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert stored.chat("My name is Ada.", session_id="kept").json()["degraded"] == []
    other = Service(tmp_path_factory.mktemp("other"), redis_url=store.url)
    try:
        assert "Ada" in other.chat("What did I say before?", session_id="kept").json()["answer"]
    finally:
        other.end()


def test_what_is_stored_is_stored_for_a_time_only(stored: Service, store: RedisServer) -> None:
    stored.chat("hi", session_id="mortal", user_id="ada")
    keys = [line for line in store.ask("KEYS *").decode().split("\r\n") if not line.startswith(("*", "$")) and line]
    assert any("ada" in key and "mortal" in key for key in keys)
    for key in keys:
        assert int(store.ask(f"PTTL {key}")[1:]) != _FOR_EVER, key


@pytest.mark.parametrize("how", ["gone", "frozen"])
def test_without_its_store_a_run_goes_on_and_says_so(stored: Service, store: RedisServer, how: str) -> None:
    stored.chat("hi", session_id="old")
    (store.stop if how == "gone" else store.freeze)()
    started = time.monotonic()
    body = stored.chat("What did I say before?", session_id="old").json()
    assert body["degraded"] == ["sessions"]
    assert "first message" in body["answer"]
    stream = stored.ask("POST", "/chat/stream", {"message": "hi", "session_id": "old"})
    assert '"degraded":["sessions"]' in stream.text
    response = stored.ask("GET", "/sessions/old")
    problem_of(response, 503, "state-unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert stored.ask("DELETE", "/sessions/old").status_code == 503
    assert stored.ask("POST", "/api/tools/clock", {}).status_code in (200, 503)
    assert stored.ask("GET", "/ready").status_code == 200
    assert stored.ask("GET", "/live").status_code == 200
    assert time.monotonic() - started < 25

    (store.start if how == "gone" else store.thaw)()
    end = time.monotonic() + 15
    while stored.chat("back", session_id="new").json()["degraded"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert "“back”" in stored.chat("What did I say before?", session_id="new").json()["answer"]


def test_many_requests_during_an_outage_wait_together_not_in_turn(stored: Service, store: RedisServer) -> None:
    store.freeze()
    started = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda index: stored.chat("hi", session_id=f"s{index}"), range(20)))
    store.thaw()
    assert {answer.status_code for answer in answers} == {200}
    assert time.monotonic() - started < 20


def test_a_store_that_was_never_there_stops_no_start(serve: Serve) -> None:
    service = serve(redis_url=f"redis://127.0.0.1:{free_port()}")
    service.wait_for_event("dependency", dependency="redis", status="down")
    health = service.ask("GET", "/health")
    assert (health.status_code, health.json()["status"], health.json()["checks"]["redis"]) == (200, "degraded", "down")
    assert service.metrics()['agent_dependency_up{dependency="redis"}'] == 0
    assert service.chat("hi").json()["degraded"] == ["sessions"]

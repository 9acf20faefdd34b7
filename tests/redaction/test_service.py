"""The service as people run it: what its model, its tools and its users say of secrets is found nowhere afterwards."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.models.servers import Reply
from tests.packages import write_package
from tests.redaction.aside import Hooks, stored
from tests.redis_server import BINARY, MISSING, RedisServer
from tests.service import Service
from tests.telemetry.collector import Collector
from tests.upstream import Upstream, asks, says, says_whole

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

CARD = "5555 5555 5555 4444"
KEY = "k3y-9f8e7d6c5b4a3210"
IBAN = "GB29 NWBK 6016 1331 9268 19"
SECRETS = (CARD, KEY, IBAN)
TOLD = f"Card {CARD}, password: {KEY}, account {IBAN} - that is all."
SHOWN = "Card [redacted: card], password: [redacted: secret], account [redacted: iban] - that is all."
TOOLS = f'''
from app.tools import ToolError, tool


@tool(effect="read")
async def vault() -> dict[str, str]:
    """What is in the vault."""
    return {{"api_key": "{KEY}", "card": "{CARD}", "city": "Paris"}}


@tool(effect="read")
async def broken() -> str:
    """It breaks."""
    raise ValueError("no login with password: {KEY} and card {CARD}")


@tool(effect="read")
async def send(text: str) -> str:
    """Sends a text."""
    return "sent"
'''


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redacted-store"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, store: RedisServer, collector: Collector, _upstream: Upstream
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("redacted")
    (folder / "hooks").mkdir()
    (folder / "hooks" / "main").write_text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    made = Service(
        folder,
        models="openai/gpt-4o",
        openai_base_url=f"{_upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        model_retries=0,
        breaker=False,
        redis_url=store.url,
        pythonpath=write_package(folder / "packages", "mine", TOOLS),
        tools="vault,broken,send",
        answer_cache=True,
        log_content=True,
        log_level="debug",
        trace_content=True,
        anonymous_per_minute="off",
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=50,
        webhook_secrets_dir=folder / "hooks",
        webhook_hosts="127.0.0.1",
        when_tainted="allow",
    )
    yield made
    made.may_log_errors = True
    made.end()


@pytest.fixture
def model(_upstream: Upstream) -> Upstream:
    _upstream.reset()
    return _upstream


def is_clean(text: str) -> bool:
    pieces = [secret[at : at + 8] for secret in SECRETS for at in range(len(secret) - 7)]
    found = [piece for piece in pieces if piece in text]
    assert found == []
    return True


def each_character(text: str) -> Reply:
    return says(*text)


def test_an_answer_in_json_is_clean_and_so_is_the_session_that_is_read_back(service: Service, model: Upstream) -> None:
    model.reset(says_whole(TOLD))
    answer = service.chat(f"Is {CARD} mine?", session_id="plain").json()
    assert answer["answer"] == SHOWN
    session = service.client.get("/sessions/plain").text
    assert is_clean(session)
    assert "Is [redacted: card] mine?" in session


def test_a_stream_of_single_characters_is_clean(service: Service, model: Upstream) -> None:
    model.reset(each_character(TOLD))
    text = service.client.post("/chat/stream", json={"message": "Tell me"}).text
    assert is_clean(text)
    lines = [json.loads(line[6:]) for line in text.split("\n") if line.startswith("data: {")]
    assert "".join(line["text"] for line in lines if line.keys() == {"text"}) == SHOWN


def test_tools_arguments_results_and_errors_are_clean(service: Service, model: Upstream) -> None:
    calls = [("vault", {}), ("broken", {}), ("send", {"text": f"my card {CARD}"})]
    model.reset(asks(*calls, stream=True), says("Done."))
    text = service.client.post("/agent/run", json={"query": "Do it", "stream": True, "session_id": "tools"}).text
    assert is_clean(text)
    assert "Paris" in text
    assert "held a secret" in text
    [_, second] = model.calls
    assert is_clean(json.dumps(second.body["messages"]))
    assert is_clean(service.client.get("/sessions/tools").text)


def test_a_tool_that_is_called_by_hand_answers_without_secrets(service: Service) -> None:
    text = service.client.post("/api/tools/vault", json={}).text
    assert is_clean(text)
    assert "Paris" in text
    assert is_clean(service.client.post("/api/tools/broken", json={}).text)


def test_a_background_run_is_clean_in_its_record_its_events_and_its_webhook(service: Service, model: Upstream) -> None:
    model.reset(asks(("vault", {})), says_whole(TOLD))
    with Hooks() as hooks:
        asked = {"query": "In the background", "webhook": {"url": hooks.url, "secret": "main"}}
        run = service.client.post("/runs", json=asked).json()
        record = _ended(service, run["run_id"])
        _until(lambda: bool(hooks))
        assert is_clean(b"".join(hooks).decode())
        assert json.loads(hooks[0])["data"]["answer"]["answer"] == SHOWN
    assert SHOWN in json.dumps(record)
    assert is_clean(json.dumps(record))
    assert is_clean(service.client.get(f"/runs/{run['run_id']}/events").text)


def test_a_cached_answer_is_clean(service: Service, model: Upstream) -> None:
    model.reset(says_whole(TOLD))
    first = service.chat("What is it, again?").json()
    second = service.chat("What is it, again?").json()
    assert first["answer"] == second["answer"] == SHOWN


def test_nothing_is_in_the_store_the_log_or_the_traces_afterwards(
    service: Service, store: RedisServer, collector: Collector
) -> None:
    assert is_clean(stored(store))
    _until(lambda: "[redacted: card]" in service.raw_log())
    _until(lambda: "[redacted: card]" in repr(collector.spans))
    assert is_clean(service.raw_log())
    assert is_clean(repr(collector.spans))
    assert service.metrics()['agent_redactions_total{group="cards"}'] > 0


def _ended(service: Service, run_id: str) -> dict[str, Any]:
    record: dict[str, Any] = {}

    def over() -> bool:
        record.update(service.client.get(f"/runs/{run_id}").json())
        return record["status"] not in ("queued", "running")

    _until(over)
    return record


def _until(reached: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)

"""The service with all that it can keep switched on: a secret of each format is said, asked, returned, commented and
named, and afterwards it is in no answer, store, log, trace, metric or file."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.access.api_keys import new_secret
from app.redaction.build import compile_patterns
from app.settings import load
from tests.access.keys import line
from tests.models.embedding_server import embedded
from tests.models.servers import Received, Reply
from tests.packages import write_package
from tests.redaction.aside import Hooks, stored
from tests.redaction.carried import CARRIED, each_character, leaks, split_at, whole
from tests.redaction.redactors import default_redactor
from tests.redis_server import BINARY, MISSING, RedisServer
from tests.service import Service
from tests.telemetry.collector import Collector
from tests.upstream import MODEL, Upstream, asks, says, says_whole

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

TOOLS = """
from app.tools import ToolError, tool
from tests.redaction.carried import CARRIED, values, whole


@tool(effect="read", max_output_chars=200_000)
async def vault() -> dict[str, str]:
    \"\"\"What is in the vault.\"\"\"
    return values()


@tool(effect="read", max_output_chars=200_000, secrets=True)
async def safe() -> dict[str, str]:
    \"\"\"What is in the safe.\"\"\"
    return values()


@tool(effect="read")
async def broken(place: int) -> str:
    \"\"\"It breaks.\"\"\"
    raise ValueError(f"cannot use {CARRIED[place].text} here")


@tool(effect="read")
async def send(text: str) -> str:
    \"\"\"Sends a text.\"\"\"
    return "sent"


@tool(risk="high", secrets=True)
async def pay(text: str) -> str:
    \"\"\"Pays.\"\"\"
    return text
"""
ADA, BOB = new_secret(), new_secret()
NAMES = [
    one.secret
    for one in CARRIED
    if re.fullmatch(r"[\w.~-]{8,200}", one.secret) and not leaks(default_redactor().text(one.secret))
]
"""Secrets that can stand in a path, and that are known without the words around them."""


class Model(Upstream):
    """Embeds, too."""

    def reply_to(self, request: Received) -> Reply:
        return embedded(request) if request.path.endswith("/embeddings") else super().reply_to(request)


class Everything:
    """The service, and what is beside it."""

    def __init__(self, service: Service, model: Model, store: RedisServer, collector: Collector, hooks: Hooks) -> None:
        self.service, self.model, self.store, self.collector, self.hooks = service, model, store, collector, hooks

    def ask(self, method: str, path: str, body: Any = None, key: str = ADA, **headers: str) -> httpx.Response:
        """An answer without a secret in it."""
        named = {"Authorization": f"Bearer {key}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        answer = self.service.client.request(method, path, json=body, headers=named)
        assert leaks(f"{answer.text}\n{answer.headers}") == [], f"{method} {path}: {answer.status_code}"
        return answer

    def post(self, path: str, body: Any, **headers: str) -> Any:
        answer = self.ask("POST", path, body, **headers)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.headers["content-type"] == "application/json" else answer.text

    def get(self, path: str, key: str = ADA) -> Any:
        answer = self.ask("GET", path, key=key)
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.headers["content-type"] == "application/json" else answer.text

    def session(self, session_id: str) -> str:
        """Its turns; nothing, where the store was too slow for the run: it goes on without, and says so."""
        answer = self.ask("GET", f"/sessions/{session_id}")
        assert answer.status_code == 200 or self.service.log("state.unavailable"), answer.text
        return answer.text

    def until(self, path: str, *statuses: str) -> Mapping[str, Any]:
        end = time.monotonic() + 60
        while (now := self.get(path))["status"] not in statuses:
            assert time.monotonic() < end, now
            time.sleep(0.05)
        return now  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def all_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    folder = tmp_path_factory.mktemp("surfaces")
    for name in ("hooks", "agents", "store"):
        (folder / name).mkdir()
    (folder / "hooks" / "main").write_text("whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    (folder / "agents" / "payer.yaml").write_text("prompt: Pay.\ntools: [pay]\n")
    people = ((ADA, "ada"), (BOB, "bob"))
    scopes = ["chat", "runs", "approvals", "tools:*"]
    (folder / "keys").write_text("".join(line(key, user=user, team="blue", scopes=scopes) for key, user in people))
    compile_patterns(load(None))  # as an image has them: the service would do it while it is asked
    store = RedisServer(folder / "store")
    store.start()
    with Model() as model, Collector() as collector, Hooks() as hooks:
        service = Service(
            folder / "service",
            auth="api-key",
            api_keys_file=folder / "keys",
            refused_per_minute="off",
            models=MODEL,
            openai_base_url=f"{model.url}/v1",
            openai_api_key="sk-of-the-service",
            unknown_price="allow",
            model_retries=0,
            breaker=False,
            guard_input="off",
            max_message_chars=100_000,
            redis_url=store.url,
            agents_dir=folder / "agents",
            pythonpath=write_package(folder / "packages", "mine", TOOLS),
            tools="vault,safe,broken,send",
            when_tainted="allow",
            answer_cache=True,
            similar_answers="serve",
            embedding_model="openai/embed",
            webhook_secrets_dir=folder / "hooks",
            webhook_hosts="127.0.0.1",
            log_content=True,
            log_level="debug",
            trace_content=True,
            otel_exporter_otlp_endpoint=collector.endpoint,
            otel_bsp_schedule_delay=50,
        )
        yield Everything(service, model, store, collector, hooks)
        service.may_log_errors = True
        service.end()
    store.stop()


def test_answers_and_sessions(all_on: Everything) -> None:
    all_on.model.reset(says_whole(whole()))
    all_on.post("/chat", {"message": whole(), "session_id": "plain"})
    all_on.session("plain")
    all_on.get("/sessions")


def test_streams_one_character_a_chunk_and_in_two_pieces(all_on: Everything) -> None:
    for pieces in (each_character(), split_at(4), split_at(11)):
        all_on.model.reset(says(*pieces))
        told = all_on.post("/chat/stream", {"message": "Tell me", "session_id": "streamed"}, Cache_Control="no-store")
        assert told.count("[redacted: ") > 400
    all_on.session("streamed")


def test_tools_in_a_run_and_by_hand(all_on: Everything) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("vault", {}),
        ("safe", {}),
        ("broken", {"place": 0}),
        ("send", {"text": whole()}),
    ]
    all_on.model.reset(asks(*calls, stream=True), says("Done."))
    all_on.post("/agent/run", {"query": whole(), "stream": True, "session_id": "tools"})
    all_on.session("tools")
    for name, arguments in [*calls, ("broken", {"place": whole()}), ("broken", {whole(): 1})]:
        assert all_on.ask("POST", f"/api/tools/{name}", arguments).status_code == 200


def test_a_background_run_its_events_its_webhook_and_its_deliveries(all_on: Everything) -> None:
    all_on.model.reset(asks(("vault", {}), ("safe", {})), says_whole(whole()))
    webhook = {"url": f"{all_on.hooks.url}/{CARRIED[0].secret}?token={CARRIED[0].secret}", "secret": "main"}
    asked = {"query": whole(), "webhook": webhook, "session_id": "background"}
    made = all_on.post("/runs", asked, Idempotency_Key=CARRIED[0].secret)
    assert all_on.post("/runs", asked, Idempotency_Key=CARRIED[0].secret)["run_id"] == made["run_id"]
    path = f"/runs/{made['run_id']}"
    assert all_on.until(path, "succeeded", "failed")["status"] == "succeeded"
    assert "[redacted: " in all_on.get(f"{path}/events")
    end = time.monotonic() + 30
    while not all_on.hooks:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert leaks(b"".join(all_on.hooks).decode()) == []
    all_on.get(f"{path}/deliveries")
    all_on.get("/runs")


def test_a_stream_that_can_be_resumed(all_on: Everything) -> None:
    all_on.model.reset(says(*each_character()))
    told = all_on.post("/chat/stream", {"message": whole(), "resumable": True}, Cache_Control="no-store")
    started = next(json.loads(row[6:]) for row in told.split("\n") if row.startswith("data: {"))
    again = all_on.ask("GET", f"/runs/{started['run_id']}/events", Last_Event_ID="1")
    assert again.text.count("[redacted: ") > 400


def test_batches(all_on: Everything) -> None:
    all_on.model.reset(says_whole(whole()))
    made = all_on.post("/batches", {"inputs": [{"custom_id": "a", "message": whole()}]})
    all_on.until(f"/batches/{made['batch_id']}", "ended")
    assert "[redacted: " in all_on.get(f"/batches/{made['batch_id']}/results")
    all_on.get("/batches")


def test_a_batch_that_is_cancelled_before_it_has_begun(all_on: Everything) -> None:
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    inputs = [{"custom_id": "a", "message": whole()}, {"custom_id": "b", "message": whole()}]
    made = all_on.post("/batches", {"inputs": inputs, "start_at": later})
    all_on.post(f"/batches/{made['batch_id']}/cancel", None)
    assert all_on.get(f"/batches/{made['batch_id']}/results").count("custom_id") == 2


def test_cached_and_similar_answers(all_on: Everything) -> None:
    question = "What is the plan for the coming week, with {}?"
    for one in CARRIED[:3]:
        all_on.model.reset(says_whole(one.text))
        for _ in range(2):
            all_on.post("/chat", {"message": question.format(one.text)})


def test_approvals_and_what_is_said_of_them(all_on: Everything) -> None:
    for one in CARRIED[::60]:
        all_on.model.reset(asks(("pay", {"text": one.text})), says_whole("Done."))
        waiting = all_on.post("/chat", {"message": "Pay", "agent": "payer"})
        [asked] = waiting["approvals"]
        path = f"/approvals/{asked['approval_id']}"
        assert "[redacted: " in str(all_on.get(path, BOB))
        all_on.get("/approvals", BOB)
        decided = all_on.ask("POST", path, {"decision": "approve", "reason": f"As {one.text} says"}, BOB)
        assert decided.status_code == 200, decided.text
        all_on.until(f"/runs/{waiting['run_id']}", "succeeded")


def test_feedback(all_on: Everything) -> None:
    all_on.model.reset(says_whole("Fine."))
    run_id = all_on.post("/chat", {"message": "Hello there"})["run_id"]
    for at in range(0, len(CARRIED), 20):
        comment = "\n".join(one.text for one in CARRIED[at : at + 20])
        marked = all_on.post("/feedback", {"run_id": run_id, "score": 1.0, "comment": comment[:2000]})
        assert "[redacted: " in marked["comment"]


@pytest.mark.parametrize("status", [400, 401, 429, 500])
def test_words_of_a_provider(all_on: Everything, status: int) -> None:
    words = json.dumps({"error": {"message": whole(), "type": "some_error", "code": None}}).encode()
    all_on.model.reset(Reply([words], status))
    for stream in (False, True):
        refused = all_on.ask("POST", "/agent/run", {"query": f"Try {status} {stream}", "stream": stream})
        assert refused.status_code >= 400 or stream


def test_names_that_are_secrets(all_on: Everything) -> None:
    """They are answered as they came to whoever sent them, and nobody else hears of them."""
    client, headers = all_on.service.client, {"Authorization": f"Bearer {ADA}"}
    all_on.model.reset(says_whole("Fine."))
    for name in NAMES[::20]:
        for path in (f"/runs/{name}", f"/sessions/{name}", f"/approvals/{name}", f"/batches/{name}", f"/{name}"):
            client.get(path, headers={**headers, "User-Agent": name, "X-Request-Id": name})
        client.get("/runs", params={"session_id": name, "cursor": name}, headers=headers)
        client.post(f"/api/tools/{name}", json={name: name}, headers=headers)
        for body in ({"agent": name}, {"model": name}, {"user_id": name}, {name: name}, {"tools": [name]}):
            client.post("/agent/run", json={"query": "Hello", **body}, headers=headers)
        client.post("/feedback", json={"run_id": name, "score": 1}, headers=headers)


def test_nothing_is_left_in_store_log_traces_metrics_and_files(all_on: Everything) -> None:
    time.sleep(1.5)  # for what is written in the background
    where = f"{all_on.hooks.url}/{CARRIED[0].secret}?token={CARRIED[0].secret}"  # it may have to be sent again
    assert "[redacted: " in repr(all_on.collector.spans)
    for name, left in {
        "store": stored(all_on.store).replace(where, "").replace(where.partition("?")[0], ""),
        "log": all_on.service.raw_log(),
        "stderr": all_on.service.stderr(),
        "traces": repr(all_on.collector.spans),
        "metrics": all_on.service.client.get(all_on.service.metrics_url).text,
    }.items():
        assert [_around(left, piece) for piece in leaks(left)[:3]] == [], name


def _around(text: str, piece: str) -> str:
    at = text.find(piece)
    return text[max(0, at - 200) : at + 100] if at >= 0 else piece

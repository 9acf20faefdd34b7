"""Two tenants of one service: nothing that one has said, asked for or been told reaches the other, on any route.

The routes are those of the OpenAPI document: a new one has to be given what it takes below.
"""

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.access.api_keys import new_secret
from tests.access.keys import line
from tests.conftest import Serve
from tests.models.embedding_server import embedded
from tests.models.servers import Received, Reply
from tests.packages import write_package
from tests.service import Service
from tests.telemetry.collector import Collector
from tests.upstream import MODEL, Upstream, asks, says, says_whole

MARK = "zebra7391"
"""In all that ada says, and is told."""
NAME = "quokka2846"
"""In all that ada names: sessions, keys, inputs of batches, webhooks. Log lines may have it."""

SESSION = f"{NAME}-session"
ADA, ANN, EVE = (new_secret() for _ in range(3))
"""Ada and Ann are of one team, and Eve of another."""

SCOPES = ["chat", "runs", "approvals", "tools:*"]
TOOLS = '''
from app.tools import ToolContext, tool

seen: list[str] = []


@tool(effect="read")
async def whoami(context: ToolContext, note: str = "") -> str:
    """Who calls."""
    seen.append(note)
    return f"{context.caller.user} of {context.caller.team}: {note}"


@tool(risk="high")
async def pay(note: str) -> str:
    """Pay."""
    return note
'''
PLAN = "What is the plan for the coming week?"
NEARLY = "What is the plan for the coming week"


class Oracle(Upstream):
    """A model that says what it is given to say, or has `pay` called for who asks for it; and one that embeds."""

    says = ""

    def reply_to(self, request: Received) -> Reply:
        if request.path.endswith("/embeddings"):
            return embedded(request)
        if request.method == "GET" or "/hook" in request.path:
            return Reply([b'{"object":"list","data":[]}'])
        last = request.body["messages"][-1]
        stream = bool(request.body.get("stream"))
        if last["role"] == "user" and "pay" in str(last["content"]):
            return asks(("pay", {"note": self.says}), stream=stream)
        return says(self.says) if stream else says_whole(self.says)

    def told(self) -> str:
        return str([request.body for request in self.calls if "/hook" not in request.path])


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle() as oracle:
        yield oracle


def ask(service: Service, key: str, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", **more.pop("headers", {})}
    return service.client.request(method, path, json=body, headers=headers, **more)


class Planted:
    """All that ada has: `ids` by the names that routes have for them."""

    def __init__(self, service: Service, oracle: Oracle) -> None:
        self.service, self.oracle = service, oracle
        oracle.says = f"The answer is {MARK}."
        first = self.chat(message=f"Remember {MARK}.", session_id=SESSION)
        self.chat(message="Hello.", session_id=f"{NAME}-diary")
        assert self.chat(message=PLAN)["cached"] is False
        assert self.chat(message=PLAN)["cached"] is True
        webhook = {"url": f"{oracle.url}/hook/{NAME}", "secret": "mine"}
        kept = {"message": f"Do {MARK}.", "session_id": SESSION, "webhook": webhook}
        run_id = self.ask("POST", "/runs", kept, headers={"Idempotency-Key": NAME}).json()["run_id"]
        waiting = self.chat(message=f"pay {MARK}", agent="payer")
        inputs = [{"custom_id": NAME, "message": f"Say {MARK}."}]
        batch_id = self.ask("POST", "/batches", {"inputs": inputs}).json()["batch_id"]
        comment = {"run_id": first["run_id"], "score": 0.5, "comment": f"{MARK} it is"}
        assert self.ask("POST", "/feedback", comment).json()["comment"] == comment["comment"]
        assert MARK in self.ask("POST", "/api/tools/whoami", {"note": MARK}).text
        self.until(f"/runs/{run_id}", "succeeded")
        self.until(f"/batches/{batch_id}", "completed", "succeeded", "ended")
        self.ids: Mapping[str, list[str]] = {
            "run_id": [first["run_id"], run_id, waiting["run_id"]],
            "session_id": [SESSION, first["session_id"]],
            "batch_id": [batch_id],
            "approval_id": [waiting["approvals"][0]["approval_id"]],
            "name": ["whoami", "pay"],
        }

    def ask(self, method: str, path: str, body: Any = None, key: str = ADA, **more: Any) -> httpx.Response:
        answer = ask(self.service, key, method, path, body, **more)
        assert answer.status_code < 300, answer.text
        return answer

    def chat(self, **body: Any) -> Any:
        return self.ask("POST", "/chat", body).json()

    def until(self, path: str, *statuses: str) -> None:
        end = time.monotonic() + 60
        while (now := self.ask("GET", path).json())["status"] not in statuses:
            assert time.monotonic() < end, now
            time.sleep(0.02)

    def paths(self, template: str) -> list[str]:
        """The route's paths to what ada has."""
        filled = [template]
        while (start := filled[0].find("{")) >= 0:
            name = filled[0][start + 1 : filled[0].index("}")]
            filled = [path.replace(f"{{{name}}}", id_) for path in filled for id_ in self.ids[name]]
        return filled

    def is_there(self) -> None:
        """Ada sees all of it: what eve is not shown is not merely gone."""
        _, run_id, waiting = self.ids["run_id"]
        for path in (f"/sessions/{SESSION}", f"/runs/{run_id}", f"/runs/{run_id}/events"):
            assert MARK in self.ask("GET", path).text, path
        for path in ("/sessions", "/runs", f"/runs/{run_id}/deliveries"):
            assert NAME in self.ask("GET", path).text, path
        assert MARK in self.ask("GET", f"/batches/{self.ids['batch_id'][0]}/results").text
        for path in ("/approvals", f"/approvals/{self.ids['approval_id'][0]}"):
            assert MARK in self.ask("GET", path, key=ANN).text, path
        assert self.ask("GET", f"/runs/{waiting}").json()["status"] == "waiting"


BODIES: Mapping[str, list[Any]] = {
    "/chat": [
        {"message": PLAN},
        {"message": NEARLY},
        {"message": "What did I say?", "session_id": SESSION},
        {"message": "What did I say?", "user_id": "ada", "session_id": SESSION},
    ],
    "/agent/run": [{"query": PLAN}, {"query": PLAN, "session_id": SESSION, "user_id": "ada"}],
    "/runs": [{"message": PLAN, "session_id": SESSION}, {"message": f"{PLAN} Please."}],
    "/batches": [{"inputs": [{"custom_id": "a", "message": PLAN}]}],
    "/approvals/{approval_id}": [{"decision": "deny"}, {"decision": "approve"}],
    "/api/tools/{name}": [{}, {"note": "x"}],
    "/feedback": [{"score": 1.0}, {"score": 1.0, "user_id": "ada"}],
}
"""By path, what eve sends; a run's id is put in where it belongs. The other routes of chats take the same."""
ALIASES = {"/api/chat": "/chat", "/chat/stream": "/chat", "/api/chat/stream": "/chat"}
QUERIES: list[Mapping[str, str]] = [{}, {"user_id": "ada", "session_id": SESSION, "limit": "100"}]


def bodies(planted: Planted, path: str, content: Mapping[str, Any]) -> list[Any]:
    if not content:
        return [None]
    template = ALIASES.get(path, path)
    assert template in BODIES, f"{path} is new: say what another tenant may send it"
    if template == "/feedback":
        return [{**body, "run_id": run_id} for body in BODIES[template] for run_id in planted.ids["run_id"]]
    return BODIES[template]


def test_nothing_of_one_tenant_reaches_another(serve: Serve, tmp_path: Path, oracle: Oracle) -> None:
    folders = {name: tmp_path / name for name in ("agents", "secrets", "tools")}
    for name in ("agents", "secrets"):
        folders[name].mkdir()
    (folders["agents"] / "payer.yaml").write_text("prompt: Pay.\ntools: [pay]\n")
    (folders["secrets"] / "mine").write_text("whsec_" + "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXo0NTY3ODk=")
    keys = tmp_path / "keys.jsonl"
    people = ((ADA, "ada", "blue"), (ANN, "ann", "blue"), (EVE, "eve", "red"))
    keys.write_text("".join(line(key, user=user, team=team, scopes=SCOPES) for key, user, team in people))
    with Collector() as collector:
        service = serve(
            auth="api-key",
            api_keys_file=keys,
            refused_per_minute="off",
            models=MODEL,
            openai_base_url=f"{oracle.url}/v1",
            openai_api_key="sk-of-the-service",
            unknown_price="allow",
            agents_dir=folders["agents"],
            tools="calculator,clock,whoami",
            pythonpath=write_package(folders["tools"], "tenants", TOOLS),
            answer_cache=True,
            similar_answers="serve",
            embedding_model="openai/embed",
            webhook_secrets_dir=folders["secrets"],
            webhook_hosts="127.0.0.1",
            otel_exporter_otlp_endpoint=collector.endpoint,
            otel_bsp_schedule_delay=50,
        )
        planted = Planted(service, oracle)
        planted.is_there()
        oracle.reset()
        oracle.says = "Nothing."
        asked = look_everywhere(planted)
        assert asked > 60
        assert MARK not in oracle.told()
        assert NAME not in oracle.told().replace(SESSION, "")
        planted.is_there()
        _look_aside(service, collector, tmp_path)


def look_everywhere(planted: Planted) -> int:
    """As eve, over every route. Returns the number of requests."""
    asked = 0
    document = planted.service.client.get("/openapi.json", headers={"Authorization": f"Bearer {EVE}"}).json()
    for template, methods in document["paths"].items():
        for method, route in methods.items():
            for path in planted.paths(template):
                for body in bodies(planted, template, route.get("requestBody", {}).get("content", {})):
                    for query in QUERIES if body is None else QUERIES[:1]:
                        headers = {"Idempotency-Key": NAME} if method == "post" else {}
                        answer = ask(planted.service, EVE, method.upper(), path, body, params=query, headers=headers)
                        asked += 1
                        where = f"{method} {answer.request.url} {body}: {answer.status_code} {answer.text}"
                        assert answer.status_code < 500, where
                        seen = f"{answer.text} {answer.headers}"
                        assert MARK not in seen, where
                        assert NAME not in seen.replace(SESSION, ""), where  # which eve has given one of hers
                        assert "ada of blue" not in seen, where
    return asked


def _look_aside(service: Service, collector: Collector, folder: Path) -> None:
    """Where no content is to be: metrics, traces, the log, files."""
    metrics = service.client.get(service.metrics_url).text
    assert MARK not in metrics
    assert NAME not in metrics
    assert "ada" not in metrics.replace("adapter", "")
    assert collector.spans
    assert not [span for span in collector.spans if MARK in f"{span.name} {span.attributes} {span.events}"]
    assert MARK not in service.raw_log()
    assert not [path for path in folder.rglob("*") if path.is_file() and MARK.encode() in path.read_bytes()]

"""The record of a service: what is on it, what is not done while it cannot be kept, and its commands."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app import __main__ as main
from app.access.api_keys import new_secret
from tests.access.keys import line
from tests.packages import write_package
from tests.redis_server import BINARY, MISSING, RedisServer
from tests.service import Service, problem_of, run_to_end
from tests.telemetry.schemas import problems

pytestmark = pytest.mark.skipif(BINARY is None, reason=MISSING)

ADA, ROOT, POOR, WRONG = new_secret(), new_secret(), new_secret(), new_secret()
SOURCE = '''
from pathlib import Path

from app.tools import tool


@tool
async def put(text: str) -> str:
    """Puts a text into a file."""
    Path("put.txt").write_text(text)
    return "done"
'''


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("audited"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def service(folder: Path, store: RedisServer) -> Iterator[Service]:
    keys = folder / "keys.jsonl"
    keys.write_text(
        line(ADA, team="core", scopes=["chat", "tools:*"])
        + line(ROOT, user="root", scopes=["admin"])
        + line(POOR, user="poor", scopes=["chat"])
    )
    assert run_to_end(folder, command=("audit", "keygen", "key.pem"))[0] == 0
    made = Service(
        folder,
        redis_url=store.url,
        auth="api-key",
        api_keys_file=keys,
        pythonpath=write_package(folder / "package", "putting", SOURCE),
        limits='{"tiers": {"default": {"tools": {"clock": {"per_minute": 1}}}}}',
        tools="calculator,clock,put",
        refused_per_minute=100,
        audit_head_seconds=1,
        audit_key_file=folder / "key.pem",
    )
    made.may_log_errors = True
    yield made
    made.end()


@dataclass(frozen=True)
class Command:
    """`python -m app audit …`, in this process."""

    folder: Path
    environment: pytest.MonkeyPatch
    printed: pytest.CaptureFixture[str]

    def run(self, *command: str, **settings: object) -> tuple[int, str, str]:
        self.environment.chdir(self.folder)
        for name, value in settings.items():
            self.environment.setenv(name.upper(), str(value))
        self.printed.readouterr()
        try:
            status = main.command(("audit", *command))
        except SystemExit as left:
            status = int(left.code or 0)
        return status, *self.printed.readouterr()

    def exported(self, *options: str) -> list[dict[str, Any]]:
        status, out, err = self.run("export", *options)
        assert (status, err) == (0, "")
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def command(
    folder: Path, store: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setenv("REDIS_URL", store.url)
    return Command(folder, monkeypatch, capsys)


def ask(service: Service, method: str, path: str, body: Any = None, key: str = ADA) -> Any:
    return service.ask(method, path, body, authorization=f"Bearer {key}")


def entries(service: Service, **fields: object) -> list[dict[str, Any]]:
    """Those of the log, which has them at once."""
    time.sleep(0.05)
    return service.log("audit", **fields)


def test_credentials_that_are_refused_are_on_record_without_filling_it(service: Service) -> None:
    for _ in range(150):
        assert ask(service, "GET", "/usage", key=WRONG).status_code in (401, 429)
    service.ask("GET", "/usage")
    refused = entries(service, action="authenticate")
    assert [(entry["why"], entry["address"]) for entry in refused] == [("invalid", "127.0.0.1")]
    assert [entry["why"] for entry in entries(service, action="limit", address="127.0.0.1")] == ["refused"]
    assert WRONG not in service.raw_log()


def test_what_a_caller_may_not_do_is_on_record_with_their_name(service: Service) -> None:
    problem_of(ask(service, "GET", "/admin/usage"), 403, "forbidden")
    problem_of(ask(service, "POST", "/api/tools/put", {"text": "x"}, key=POOR), 403, "forbidden")
    problem_of(ask(service, "POST", "/api/tools/hand_over_to_human", {"reason": "x"}), 404, "not-found")
    (entry,) = entries(service, action="admin", decision="refused")
    assert (entry["user"], entry["team"], entry["on"], entry["why"]) == ("ada", "core", "/admin/usage", "scope:admin")
    entry, unknown = entries(service, action="tool", decision="refused")
    assert (unknown["user"], unknown["why"]) == ("ada", "unknown_tool")
    assert "on" not in unknown, "a name that somebody made up"
    assert (entry["user"], entry["on"], entry["why"]) == ("poor", "/api/tools/{name}", "scope:tools")


def test_calls_of_tools_limits_and_administration_are_on_record(service: Service, command: Command) -> None:
    assert ask(service, "POST", "/api/tools/put", {"text": "agentapi_" + "s3cret" * 8}).json()["success"]
    statuses = [ask(service, "POST", "/api/tools/clock", {}).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]
    assert ask(service, "GET", "/admin/usage", key=ROOT).status_code == 200
    service.wait_for_event("audit.head")
    found = [record["entry"] for record in command.exported()]
    told = [(entry["action"], entry["decision"], entry.get("on"), entry.get("why")) for entry in found]
    for entry in (
        ("tool", "allowed", "put", None),
        ("tool", "ended", "put", "ok"),
        ("tool", "allowed", "clock", "ok"),
        ("limit", "refused", "tool:clock", "tool:clock"),
        ("admin", "allowed", "/admin/usage", None),
        ("admin", "allowed", "api-keys", None),
    ):
        assert told.count(entry) == 1, entry
    assert all(entry["user"] for entry in found if entry["action"] in ("tool", "limit") and "address" not in entry)
    assert all(entry["request_id"] for entry in found if entry["action"] == "tool")
    for secret in (ADA, ROOT, POOR, WRONG, "s3cret"):
        assert secret not in str(found)
        assert secret not in service.raw_log()


def test_the_record_is_verified_from_outside_with_the_heads_of_the_log(
    service: Service, folder: Path, store: RedisServer, command: Command
) -> None:
    ask(service, "POST", "/api/tools/put", {"text": "verified"})
    heads = len(service.log("audit.head"))
    while len(service.log("audit.head")) < heads + 2:
        time.sleep(0.05)
    (folder / "log").write_text(service.raw_log())
    verify = ("audit", "verify", "--heads", "log", "--public-key", "key.pem.pub")
    status, out, err = run_to_end(folder, command=verify, redis_url=store.url)
    assert (status, err, out.splitlines()[-1][-16:]) == (0, "", " holds together."), out
    (head,) = command.run("heads")[1].splitlines()
    assert json.loads(head)["key"] == service.log("audit.head")[-1]["key"]
    last = command.exported()[-1]
    assert command.exported("--since", "2020-01-01", "--until", "2021-01-01T00:00:00Z") == []
    assert command.exported("--since", "2020-01-01")[-1] == last
    store.ask(f"XDEL {{audit}}:entries {last['id']}")
    status, out, _ = command.run("verify", "--heads", "log", audit_key_file="key.pem")
    assert status == 1
    assert "cut: " in out


def test_without_the_record_nothing_with_effects_is_done(service: Service, folder: Path, store: RedisServer) -> None:
    """Pulls the plug: tools that change something are not called, administration is not answered."""
    ask(service, "POST", "/api/tools/put", {"text": "before"})
    assert (folder / "put.txt").read_text() == "before"
    store.stop()
    problem_of(ask(service, "POST", "/api/tools/put", {"text": "after"}), 503, "state-unavailable")
    assert (folder / "put.txt").read_text() == "before"
    problem_of(ask(service, "GET", "/admin/usage", key=ROOT), 503, "state-unavailable")
    assert ask(service, "POST", "/api/tools/calculator", {"expression": "6*7"}).status_code == 200
    assert entries(service, action="tool", on="calculator")
    assert service.metrics()['guard_errors_total{guard="audit",reason="unavailable"}'] > 0
    store.start()
    end = time.monotonic() + 20
    while ask(service, "POST", "/api/tools/put", {"text": "again"}).status_code == 503:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (folder / "put.txt").read_text() == "again"
    assert problems([line for line in service.log() if line["event"].startswith("audit")]) == []


@pytest.mark.parametrize(
    ("words", "settings", "says"),
    [
        (("verify",), {"redis_url": ""}, "REDIS_URL: "),
        (("export",), {"redis_url": "redis://127.0.0.1:1"}, "REDIS_URL: the store does not answer"),
        (("verify", "--heads", "nowhere"), {}, "--heads: nowhere: No such file"),
        (("verify", "--public-key", "no.pem"), {}, "--public-key: no.pem: No such"),
        (("verify", "--public-key", "log"), {}, "--public-key: log: is not an Ed25519 public key"),
        (("export", "--since", "yesterday"), {}, "must be a time such as"),
        (("keygen", "/nowhere/key"), {}, "/nowhere/key.pub: No such file"),
        (("keygen", "key.pem"), {}, "key.pem.pub: File exists"),
    ],
)
def test_what_cannot_be_done_is_said(
    command: Command, words: tuple[str, ...], settings: dict[str, object], says: str
) -> None:
    (command.folder / "log").touch()
    status, out, err = command.run(*words, **settings)
    assert (status, out) == (2, "")
    assert says in err


def test_a_key_is_made_once_that_is_on_record(
    service: Service, tmp_path: Path, command: Command, store: RedisServer
) -> None:
    assert ask(service, "POST", "/api/tools/put", {"text": "before the key"}).json()["success"]
    end = time.monotonic() + 20
    while not command.run("heads")[1]:  # the service's own, a second later
        assert time.monotonic() < end
        time.sleep(0.1)
    make = ("keys", "new", "--user", "eve")
    status, out, err = run_to_end(tmp_path, command=make, redis_url=store.url)
    assert status == 0
    assert len(out.splitlines()) == 2
    record = command.exported()[-1]["entry"]
    assert (record["action"], record["on"], record["why"]) == ("admin", "api-key:eve", "made")
    assert record["user"].startswith("os:")
    assert '"audit.head"' in err
    assert len(command.run("heads")[1].splitlines()) == 2
    status, out, err = run_to_end(tmp_path, command=make, redis_url="redis://127.0.0.1:1")
    assert (status, out) == (2, "")
    assert "cannot be put on record" in err

"""docs/audit.md: its commands print what it shows, and the names that it uses exist."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast, get_args

import pytest

from app.access.api_keys import new_secret
from app.audit.chains import Kind
from app.audit.entry import Action, Decision
from app.settings import Settings
from app.telemetry import metrics
from tests import readme
from tests.access.keys import line
from tests.conftest import Serve
from tests.readme import check_together, examples
from tests.redis_server import BINARY, MISSING, RedisServer
from tests.service import REPOSITORY, Service

TEXT = (REPOSITORY / "docs" / "audit.md").read_text()
BLOCKS = [examples(block) for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)]
ADA = new_secret()

pytestmark = pytest.mark.skipif(BINARY is None or not shutil.which("redis-cli"), reason=MISSING)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def test_the_commands_print_what_is_shown(
    tmp_path: Path, server: RedisServer, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readme, "REPOSITORY", tmp_path)  # where the commands run
    monkeypatch.setenv("REDIS_URL", server.url)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    making, showing, tampering = BLOCKS
    nobody = SimpleNamespace(port=0, metrics_port=0, url="")
    check_together(making, cast(Service, nobody))
    (tmp_path / "keys.jsonl").write_text(line(ADA, team="core", scopes=["chat", "tools:*"]))
    service = serve(
        redis_url=server.url,
        auth="api-key",
        api_keys_file=tmp_path / "keys.jsonl",
        audit_key_file=tmp_path / "audit.pem",
        audit_head_seconds=1,
        audit_days=1,
    )
    bearer = {"authorization": f"Bearer {ADA}"}
    service.ask("POST", "/api/tools/calculator", {"expression": "6 * 7"}, **bearer)
    service.ask("POST", "/api/tools/calculator", {}, **bearer)
    service.ask("GET", "/admin/usage", **bearer)
    service.wait_for_event("audit.head", sequence=4)
    (tmp_path / "service.log").write_text(service.raw_log())
    check_together(showing, service)
    newest = server.ask("XREVRANGE {audit}:entries + - COUNT 1").split(b"\r\n")[3].decode()
    monkeypatch.setenv("NEWEST", newest)
    check_together(tampering, service)


def test_every_action_decision_and_problem_is_told_of() -> None:
    named = set(re.findall(r"`([\w/…]+)`", TEXT))
    for kinds in (Action, Decision, Kind):
        assert set(get_args(kinds)) <= named


def test_settings_and_metrics_that_are_named_exist() -> None:
    settings = {name.lower() for name in re.findall(r"`(AUDIT\w*|LOG_LEVEL|REDIS_URL)", TEXT)}
    assert len(settings) >= 5
    assert settings <= Settings.model_fields.keys()
    for name, default in re.findall(r"`(AUDIT_\w+)` \((\d+)\)", TEXT):
        assert Settings.model_fields[name.lower()].default == int(default)
    made = {metric._name for metric in vars(metrics).values() if hasattr(metric, "_name")}
    named = {name.removesuffix("_total") for name in re.findall(r"`((?:agent|guard)_\w+)", TEXT)}
    assert len(named) == 4
    assert named <= made

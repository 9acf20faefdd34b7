"""docs/approvals.md: the service is asked as it says; the names that it uses exist."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import pytest

from app.access.api_keys import new_secret
from app.api.failures import kinds_of_errors
from app.durable.approvals.record import ApprovalStatus
from app.settings import Settings
from app.telemetry.known_series import APPROVAL_OUTCOMES
from tests.access.keys import line
from tests.readme import check_together, examples
from tests.service import Service

TEXT = (Path(__file__).parent.parent.parent / "docs" / "approvals.md").read_text()
BLOCKS = [examples(block) for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)]
KEYS = {"ADA": new_secret(), "BOB": new_secret()}


def named(text: str) -> list[str]:
    return re.findall(r"`(\S+)`", text)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With the agent and the keys that the text tells of."""
    folder = tmp_path_factory.mktemp("docs")
    (name, agent), *_ = re.findall(r"```yaml\n# agents/(\S+)\n(.*?)```", TEXT, re.DOTALL)
    (folder / "agents").mkdir()
    (folder / "agents" / name).write_text(agent)
    ((ada, bob),) = re.findall(r"Ada's with (.*?),\s+Bob's with (.*?)\.", TEXT, re.DOTALL)
    keys = folder / "keys.jsonl"
    keys.write_text(line(KEYS["ADA"], scopes=named(ada)) + line(KEYS["BOB"], user="bob", scopes=named(bob)))
    service = Service(folder, auth="api-key", api_keys_file=keys, agents_dir=folder / "agents")
    yield service
    service.end()


def test_a_service_answers_as_shown(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, key in KEYS.items():
        monkeypatch.setenv(name, key)
    whole: Sequence[tuple[str, str]] = [example for block in BLOCKS for example in block]
    check_together(whole, service)


def test_settings_that_are_named_exist_and_their_defaults_are_those_that_are_told() -> None:
    named = re.findall(r"`([A-Z]+_[A-Z_]+|WORKERS|AUTH)(?:=[^`]*)?`(?: \(`?([\w,]+)`?\))?", TEXT)
    fields = Settings.model_fields
    assert {name.lower() for name, _ in named} <= fields.keys()
    told = {(name.lower(), default.replace(",", "")) for name, default in named if default}
    assert len(told) >= 3
    assert told == {(name, str(fields[name].default)) for name, _ in told}


def test_every_state_is_in_the_table() -> None:
    table = TEXT.partition("| status |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == [*get_args(ApprovalStatus)]


def test_every_outcome_that_is_counted_is_told() -> None:
    (told,) = re.findall(r"^\| `agent_approvals_total\{outcome\}` \| (.*) \|$", TEXT, re.MULTILINE)
    assert tuple(re.findall(r"`(\w+)`", told)) == APPROVAL_OUTCOMES


def test_the_problems_that_are_named_are_those_of_the_service() -> None:
    named = {(int(status), slug) for status, slug in re.findall(r"\b([45]\d\d) `([a-z-]+)`", TEXT)}
    assert named
    assert named <= {(kind.status, kind.slug) for kind in kinds_of_errors()}

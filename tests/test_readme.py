"""Every `$ curl …` of the README is run against the service as `make run` starts it, and answers as the README says."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.api.failures import kinds_of_errors
from tests.readme import matches
from tests.service import Service

README = Path(__file__).parent.parent / "README.md"


def examples() -> list[tuple[str, str]]:
    """Commands and what is shown below them, in the README's order; sessions go from one to the next."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown))
    return found


def test_the_table_of_errors_has_each_error_at_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| ((?:`[a-z-]+`(?:, )?)+) \|", README.read_text(), re.MULTILINE)
    told = [(int(status), name.strip("`")) for status, names in rows for name in names.split(", ")]
    assert sorted(told) == sorted({(kind.status, kind.slug) for kind in kinds_of_errors()})


@pytest.fixture(scope="module")
def readme_service(fresh_service: Service) -> Service:
    return fresh_service


@pytest.mark.parametrize(("command", "shown"), examples(), ids=[command[:60] for command, _ in examples()])
def test_the_readme_is_true(command: str, shown: str, readme_service: Service) -> None:
    local = command.replace("localhost:8000", f"127.0.0.1:{readme_service.port}")
    local = local.replace("localhost:9090", f"127.0.0.1:{readme_service.metrics_port}")
    done = subprocess.run(["bash", "-c", local], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert matches(shown, done.stdout), f"shown:\n{shown}\ngot:\n{_pretty(done.stdout)}"


def _pretty(text: str) -> Any:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text

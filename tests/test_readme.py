"""Every `$ curl …` of the README is run against the service as `make run` starts it, and answers as the README says."""

import re
from pathlib import Path

import pytest

from app.api.failures import kinds_of_errors
from tests.readme import check, examples
from tests.service import Service

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = examples("".join(re.findall(r"```console\n(.*?)```", README.read_text(), re.DOTALL)))
"""In the README's order; sessions go from one to the next."""


def test_the_table_of_errors_has_each_error_at_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| ((?:`[a-z-]+`(?:, )?)+) \|", README.read_text(), re.MULTILINE)
    told = [(int(status), name.strip("`")) for status, names in rows for name in names.split(", ")]
    assert sorted(told) == sorted({(kind.status, kind.slug) for kind in kinds_of_errors()})


@pytest.fixture(scope="module")
def readme_service(fresh_service: Service) -> Service:
    return fresh_service


@pytest.mark.parametrize(("command", "shown"), EXAMPLES, ids=[command[:60] for command, _ in EXAMPLES])
def test_the_readme_is_true(command: str, shown: str, readme_service: Service) -> None:
    check(command, shown, readme_service)
